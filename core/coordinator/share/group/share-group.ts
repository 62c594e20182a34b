// A share group (KIP-932): members, which partitions each may fetch from, and for which partitions the share coordinator has state. All of it comes
// from records and can be undone. Partitions are shared, so that a member takes on its target at once.
import type { Uuid } from "../../../base/index.ts";
import { ErrorCode } from "../../../protocol/index.ts";
import type { Group, GroupRecord, OffsetsExpireFrom } from "../../group/group.ts";
import { type UndoLog, UndoMap, UndoValue } from "../../runtime/index.ts";
import { shareGroupTombstones } from "./share-records.ts";

/** Topic, then partitions in rising order. */
export type ShareAssigned = ReadonlyMap<Uuid, readonly number[]>;
export const nothingShared: ShareAssigned = new Map();

export interface ShareMember {
  readonly memberId: string;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly subscribedTopicNames: readonly string[];
  readonly memberEpoch: number;
  readonly previousMemberEpoch: number;
  readonly assigned: ShareAssigned;
}

export interface SharedTopic {
  readonly name: string;
  readonly partitions: ReadonlySet<number>;
}

export interface SharePartitionStates {
  readonly initializing: ReadonlyMap<Uuid, SharedTopic>;
  readonly initialized: ReadonlyMap<Uuid, SharedTopic>;
  /** Ids and names. */
  readonly deleting: ReadonlyMap<Uuid, string>;
}

const noStates: SharePartitionStates = { initializing: new Map(), initialized: new Map(), deleting: new Map() };

export function newShareMember(memberId: string): ShareMember {
  return {
    ...{ memberId, rackId: null, clientId: "", clientHost: "", subscribedTopicNames: [] },
    ...{ memberEpoch: 0, previousMemberEpoch: -1, assigned: nothingShared },
  };
}

/** Of a group without records. */
const firstEpoch = 1;

export class ShareGroup implements Group {
  readonly type = "share";
  readonly protocolTypeName = "share";
  readonly groupId: string;
  private readonly epochs: UndoValue<{ readonly group: number; readonly metadataHash: bigint }>;
  private readonly assignment: UndoValue<{ readonly epoch: number; readonly timestampMs: number }>;
  readonly members: UndoMap<string, ShareMember>;
  readonly targets: UndoMap<string, ShareAssigned>;
  readonly states: UndoValue<SharePartitionStates>;
  /** Not in records: the topics may have changed since the hash was made. */
  isMetadataStale = true;
  /** Not in records: the share coordinator is being asked until then. */
  initializingUntilMs = 0;

  constructor(groupId: string, undo: UndoLog) {
    this.groupId = groupId;
    this.epochs = new UndoValue<{ group: number; metadataHash: bigint }>(undo, { group: firstEpoch, metadataHash: 0n });
    this.assignment = new UndoValue<{ epoch: number; timestampMs: number }>(undo, {
      epoch: firstEpoch,
      timestampMs: 0,
    });
    this.members = new UndoMap(undo);
    this.targets = new UndoMap(undo);
    this.states = new UndoValue(undo, noStates);
  }

  get groupEpoch(): number {
    return this.epochs.get().group;
  }

  get metadataHash(): bigint {
    return this.epochs.get().metadataHash;
  }

  get assignmentEpoch(): number {
    return this.assignment.get().epoch;
  }

  get assignmentTimestampMs(): number {
    return this.assignment.get().timestampMs;
  }

  setEpoch(group: number, metadataHash: bigint): void {
    this.epochs.set({ group, metadataHash });
  }

  setAssignmentEpoch(epoch: number, timestampMs: number): void {
    this.assignment.set({ epoch, timestampMs });
  }

  stateName(): string {
    return this.isEmpty ? "Empty" : "Stable";
  }

  get isEmpty(): boolean {
    return this.members.size === 0;
  }

  /** As they would be with `updated` in place of the member of its id. */
  *membersWith(updated: ShareMember | null): Generator<ShareMember> {
    let isSeen = false;
    for (const member of this.members.values()) {
      if (updated !== null && member.memberId === updated.memberId) {
        isSeen = true;
        yield updated;
      } else yield member;
    }
    if (updated !== null && !isSeen) yield updated;
  }

  isSubscribedTo(topic: string): boolean {
    for (const { subscribedTopicNames } of this.members.values()) if (subscribedTopicNames.includes(topic)) return true;
    return false;
  }

  // --- offsets and administration: share groups have no committed offsets ------------------------

  offsetCommitError(): number {
    return ErrorCode.GROUP_ID_NOT_FOUND;
  }

  offsetFetchError(): number {
    return ErrorCode.GROUP_ID_NOT_FOUND;
  }

  offsetDeleteError(): number {
    return ErrorCode.GROUP_ID_NOT_FOUND;
  }

  deleteError(): number {
    return this.isEmpty ? ErrorCode.NONE : ErrorCode.NON_EMPTY_GROUP;
  }

  tombstones(): GroupRecord[] {
    return shareGroupTombstones(this);
  }

  offsetsExpireFrom(): OffsetsExpireFrom {
    return { kind: "never" };
  }
}

export function sharedNames(members: Iterable<ShareMember>): Set<string> {
  const names = new Set<string>();
  for (const member of members) for (const name of member.subscribedTopicNames) names.add(name);
  return names;
}

export function sameShared(one: ShareAssigned, other: ShareAssigned): boolean {
  if (one.size !== other.size) return false;
  for (const [topic, partitions] of one) {
    const others = other.get(topic);
    if (others === undefined || others.length !== partitions.length) return false;
    if (!partitions.every((partition, index) => others[index] === partition)) return false;
  }
  return true;
}
