// What an administrator asks of groups of every kind: lists, descriptions, deletion; and the tick that clears away what is out of date.
import { type DescribeGroupsResponseInit, ErrorCode, type ListGroupsResponseInit } from "../../protocol/index.ts";
import { type DescribedShareGroup, describeShareGroup } from "../share/group/share-describe.ts";
import { type DescribedStreamsGroup, describeStreamsGroup } from "../streams/streams-describe.ts";
import { ClassicGroup } from "./classic/classic-group.ts";
import { noAssignment } from "./classic/classic-member.ts";
import { type DescribedConsumerGroup, describeConsumerGroup } from "./consumer/consumer-describe.ts";
import type { Group, GroupDecision, GroupRecord } from "./group.ts";
import type { GroupContext } from "./group-context.ts";
import type { GroupOffsets } from "./offsets/group-offsets.ts";

export type ListedGroup = ListGroupsResponseInit["groups"][number];
export type DescribedGroup = DescribeGroupsResponseInit["groups"][number];

/** Tombstones of one tick go into one batch; what is left comes a little later. */
export const expiredRecordCountMax = 10_000;
/** Groups and offsets that one turn of the loop looks at. */
export const expiryWorkMax = 20_000;

/** From this version on a missing group is an error, not a dead group (KIP-1043). */
const missingGroupIsErrorFrom = 6;

export class GroupAdministration {
  private readonly context: GroupContext;
  private readonly offsets: GroupOffsets;
  /** Where the expiry stands; null between two rounds. */
  private toExpire: Iterator<Group> | null = null;

  constructor(context: GroupContext, offsets: GroupOffsets) {
    this.context = context;
    this.offsets = offsets;
  }

  /** Empty filters let all through; names count without regard to case. */
  list(statesFilter: readonly string[], typesFilter: readonly string[]): ListedGroup[] {
    const states = new Set(statesFilter.map((name) => name.toLowerCase()));
    const types = new Set(typesFilter.map((name) => name.toLowerCase()));
    const listed: ListedGroup[] = [];
    for (const group of this.context.groups.values()) {
      const groupState = group.stateName();
      if (states.size > 0 && !states.has(groupState.toLowerCase())) continue;
      if (types.size > 0 && !types.has(group.type)) continue;
      listed.push({
        groupId: group.groupId,
        protocolType: group.protocolTypeName,
        groupState,
        groupType: group.type,
      });
    }
    // No order is promised; Kafka's own tests write down this one.
    return listed.reverse();
  }

  describeClassic(groupId: string, apiVersion: number): DescribedGroup {
    const group = this.context.groups.get(groupId);
    if (!(group instanceof ClassicGroup) || group.state === "Dead") {
      const text = group === undefined ? `Group ${groupId} not found.` : `Group ${groupId} is not a classic group.`;
      const isError = apiVersion >= missingGroupIsErrorFrom;
      return {
        groupId,
        errorCode: isError ? ErrorCode.GROUP_ID_NOT_FOUND : ErrorCode.NONE,
        errorMessage: isError ? text : null,
        groupState: "Dead",
        protocolType: "",
        protocolData: "",
        members: [],
      };
    }
    const isStable = group.state === "Stable";
    return {
      groupId,
      errorCode: ErrorCode.NONE,
      groupState: group.state,
      protocolType: group.protocolTypeName,
      protocolData: isStable ? (group.protocolName ?? "") : "",
      members: [...group.members.values()].map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberMetadata: isStable ? (member.metadataOf(group.protocolName) ?? noAssignment) : noAssignment,
        memberAssignment: isStable ? member.assignment : noAssignment,
      })),
    };
  }

  describeConsumer(groupId: string): DescribedConsumerGroup {
    return describeConsumerGroup(this.context, groupId);
  }

  describeShare(groupId: string): DescribedShareGroup {
    return describeShareGroup(this.context, groupId);
  }

  describeStreams(groupId: string): DescribedStreamsGroup {
    return describeStreamsGroup(this.context, groupId);
  }

  deleteGroup(groupId: string): GroupDecision<number> {
    const group = this.context.groups.get(groupId);
    if (group === undefined) return { records: [], answer: ErrorCode.GROUP_ID_NOT_FOUND };
    const answer = group.deleteError();
    if (answer !== ErrorCode.NONE) return { records: [], answer };
    return { records: [...this.offsets.tombstones(groupId), ...group.tombstones()], answer };
  }

  /** Looks at a part of the groups; the answer is whether more of them are left. */
  expire(nowMs: number): GroupDecision<boolean> {
    const records: GroupRecord[] = [];
    // Lives on over changes: a group that goes is passed over, one that comes is met in the end.
    this.toExpire ??= this.context.groups.values();
    for (let workCount = 0; workCount < expiryWorkMax && records.length < expiredRecordCountMax; ) {
      const next = this.toExpire.next();
      if (next.done === true) {
        this.toExpire = null;
        break;
      }
      const group = next.value;
      const isAllGone = this.offsets.expire(group, nowMs, records);
      if (isAllGone && group.isEmpty) records.push(...group.tombstones());
      workCount += this.offsets.expiryWorkOf(group.groupId);
    }
    return { records: records.slice(0, expiredRecordCountMax), answer: this.toExpire !== null };
  }
}
