// One member of a consumer group as records make it: what it said, the epoch that it is in, the partitions that it has and those that it still has
// to give up. Never changed once made.
import type { Uuid } from "../../../base/index.ts";
import type { ClassicProtocol } from "../classic/classic-member.ts";

/** Partition → epoch in which the member got it (KIP-1251). */
export type PartitionEpochs = ReadonlyMap<number, number>;
/** What a member has, by topic. */
export type Assigned = ReadonlyMap<Uuid, PartitionEpochs>;
/** What a member is to have, by topic; partitions ascending. */
export type Target = ReadonlyMap<Uuid, readonly number[]>;

export const nothingAssigned: Assigned = new Map();
export const noTarget: Target = new Map();

/** Kafka's codes, as the record holds them. */
export const memberStates = { stable: 0, unrevokedPartitions: 1, unreleasedPartitions: 2, unknown: 127 } as const;
export type MemberState = (typeof memberStates)[keyof typeof memberStates];

/** The epochs that are none. */
export const leaveEpoch = -1;
export const staticLeaveEpoch = -2;
export const joinEpoch = 0;

export interface ConsumerMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly serverAssignor: string | null;
  readonly subscribedTopicNames: readonly string[];
  /** Empty: none. */
  readonly subscribedTopicRegex: string;
  /** Of a member that speaks the classic protocol. */
  readonly classic: { readonly sessionTimeoutMs: number; readonly protocols: readonly ClassicProtocol[] } | null;
  readonly memberEpoch: number;
  readonly previousMemberEpoch: number;
  readonly state: MemberState;
  readonly assigned: Assigned;
  readonly pendingRevocation: Assigned;
}

export function newMember(memberId: string): ConsumerMember {
  return {
    memberId,
    instanceId: null,
    rackId: null,
    clientId: "",
    clientHost: "",
    rebalanceTimeoutMs: -1,
    serverAssignor: null,
    subscribedTopicNames: [],
    subscribedTopicRegex: "",
    classic: null,
    memberEpoch: joinEpoch,
    previousMemberEpoch: -1,
    state: memberStates.stable,
    assigned: nothingAssigned,
    pendingRevocation: nothingAssigned,
  };
}

/** In the epoch, with the one before remembered: an answer that was lost is recognised by it. */
export function inEpoch(member: ConsumerMember, memberEpoch: number): ConsumerMember {
  if (member.memberEpoch === memberEpoch) return member;
  return { ...member, memberEpoch, previousMemberEpoch: member.memberEpoch };
}

export function isReconciledTo(member: ConsumerMember, epoch: number): boolean {
  return member.state === memberStates.stable && member.memberEpoch === epoch;
}

export function sameNames(one: readonly string[], other: readonly string[]): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  const names = new Set(one);
  return other.every((name) => names.has(name));
}

/** Whether what the member says of itself is the same: then no record of it is due. */
export function sameMetadata(one: ConsumerMember, other: ConsumerMember): boolean {
  if (one === other) return true;
  return (
    one.memberId === other.memberId &&
    one.instanceId === other.instanceId &&
    one.rackId === other.rackId &&
    one.clientId === other.clientId &&
    one.clientHost === other.clientHost &&
    one.rebalanceTimeoutMs === other.rebalanceTimeoutMs &&
    one.serverAssignor === other.serverAssignor &&
    one.subscribedTopicRegex === other.subscribedTopicRegex &&
    sameNames(one.subscribedTopicNames, other.subscribedTopicNames) &&
    sameClassic(one.classic, other.classic)
  );
}

function sameClassic(one: ConsumerMember["classic"], other: ConsumerMember["classic"]): boolean {
  if (one === null || other === null) return one === other;
  if (one.sessionTimeoutMs !== other.sessionTimeoutMs || one.protocols.length !== other.protocols.length) return false;
  return one.protocols.every((protocol, index) => {
    const another = other.protocols[index]!;
    return protocol.name === another.name && protocol.metadata.equals(another.metadata);
  });
}

export function sameAssigned(one: Assigned, other: Assigned): boolean {
  if (one === other) return true;
  if (one.size !== other.size) return false;
  for (const [topic, partitions] of one) {
    const others = other.get(topic);
    if (others === undefined || others.size !== partitions.size) return false;
    for (const [partition, epoch] of partitions) if (others.get(partition) !== epoch) return false;
  }
  return true;
}

/** The same partitions, whatever their epochs. */
export function samePartitions(one: Assigned, other: Assigned): boolean {
  if (one === other) return true;
  if (one.size !== other.size) return false;
  for (const [topic, partitions] of one) {
    const others = other.get(topic);
    if (others === undefined || others.size !== partitions.size) return false;
    for (const partition of partitions.keys()) if (!others.has(partition)) return false;
  }
  return true;
}

export function sameTarget(one: Target, other: Target): boolean {
  if (one === other) return true;
  if (one.size !== other.size) return false;
  for (const [topic, partitions] of one) {
    const others = other.get(topic);
    if (others === undefined || others.length !== partitions.length) return false;
    for (let index = 0; index < partitions.length; index++) if (others[index] !== partitions[index]) return false;
  }
  return true;
}
