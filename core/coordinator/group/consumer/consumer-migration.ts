// A group changes its protocol while its members run (KIP-848): a classic group becomes a consumer group when the first member that speaks the new
// protocol joins, and goes back when the last of those has left. Nobody loses a partition by it.
import type { Uuid } from "../../../base/index.ts";
import { MalformedMessage } from "../../../base/index.ts";
import {
  type ConsumerProtocolSubscription,
  ErrorCode,
  readConsumerAssignment,
  readConsumerSubscription,
  writeConsumerAssignment,
} from "../../../protocol/index.ts";
import { ClassicGroup, consumerProtocolType, joinError } from "../classic/classic-group.ts";
import { ClassicMember } from "../classic/classic-member.ts";
import type { ClassicRebalance } from "../classic/classic-rebalance.ts";
import type { GroupRecord } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import { groupMetadataRecord, groupMetadataTombstone } from "../group-records.ts";
import { timerKeys } from "../group-timers.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import type { ConsumerLoader } from "./consumer-loader.ts";
import { type Assigned, type ConsumerMember, memberStates, newMember, type Target } from "./consumer-member.ts";
import {
  consumerGroupTombstones,
  currentAssignmentRecord,
  groupEpochRecord,
  memberRecord,
  targetEpochRecord,
  targetRecord,
} from "./consumer-records.ts";
import { metadataHashOf } from "./metadata-hash.ts";
import { type Refused, refused } from "./refused.ts";

const customAssignorAdvice =
  "Please refer to the documentation or switch to a default assignor before re-attempting the upgrade.";

export interface Upgraded {
  readonly group: ConsumerGroup;
  readonly records: GroupRecord[];
  /** Once the join that caused it is accepted: members that wait join again, timers become those of the new group. */
  accept(): void;
  /** The records could not be written: the classic group is back. */
  takeBack(): void;
}

export class ConsumerMigration {
  private readonly context: GroupContext;
  private readonly loader: ConsumerLoader;
  private readonly rebalance: ClassicRebalance;

  constructor(context: GroupContext, loader: ConsumerLoader, rebalance: ClassicRebalance) {
    this.context = context;
    this.loader = loader;
    this.rebalance = rebalance;
  }

  /** The classic group as a consumer group of the same members, each with what it had. */
  upgrade(classic: ClassicGroup): Upgraded | Refused {
    const problem = this.upgradeProblem(classic);
    if (problem !== null) return refused(ErrorCode.GROUP_ID_NOT_FOUND, problem);
    const { groupId, generationId } = classic;
    const members: ConsumerMember[] = [];
    try {
      for (const member of classic.members.values()) members.push(this.consumerMember(classic, member));
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      const text = `Cannot upgrade classic group ${groupId} to consumer group because a member's metadata is no subscription.`;
      return refused(ErrorCode.GROUP_ID_NOT_FOUND, text);
    }
    const names = new Set(members.flatMap(({ subscribedTopicNames }) => subscribedTopicNames));
    const records: GroupRecord[] = [
      ...members.map((member) => memberRecord(groupId, member)),
      groupEpochRecord(groupId, generationId, metadataHashOf(names, this.context.topics)),
      ...members.map((member) => targetRecord(groupId, member.memberId, targetOf(member.assigned))),
      targetEpochRecord(groupId, generationId, 0),
      ...members.map((member) => currentAssignmentRecord(groupId, member)),
    ];
    const group = new ConsumerGroup(groupId, this.context.undo);
    this.context.groups.set(groupId, group);
    // The join that goes on from here must see the members; the same records come once more when they are written, and change nothing.
    for (const record of records) this.loader.replay(record);
    return {
      group,
      records: [groupMetadataTombstone(groupId), ...records],
      accept: () => this.acceptUpgrade(classic, group),
      takeBack: () => {
        // A session that ended while its member waited for an answer has no timer any more.
        for (const member of classic.members.values()) this.rebalance.restartSession(classic, member);
      },
    };
  }

  private upgradeProblem(classic: ClassicGroup): string | null {
    const { consumerMemberCountMax, consumerMigrationPolicy: policy } = this.context.config;
    const why = (reason: string, end = "."): string =>
      `Cannot upgrade classic group ${classic.groupId} to consumer group because ${reason}${end}`;
    if (policy !== "bidirectional" && policy !== "upgrade") return why("online upgrade is disabled");
    if (!classic.usesConsumerProtocol) return why("the group does not use the consumer embedded protocol");
    if (classic.members.size > consumerMemberCountMax)
      return why("the group size exceeds the consumer group maximum size");
    // Its assignor keeps more with a partition than the coordinator could hand on.
    const hasUserData = [...classic.members.values()].some((member) => (userDataOf(member)?.length ?? 0) > 0);
    return hasUserData ? why(`an unsupported custom assignor is in use. ${customAssignorAdvice}`, "") : null;
  }

  private consumerMember(classic: ClassicGroup, member: ClassicMember): ConsumerMember {
    const metadata = member.metadataOf(classic.protocolName) ?? member.protocols[0]?.metadata;
    if (metadata === undefined) throw new MalformedMessage("a member without a protocol");
    const subscription = readConsumerSubscription(metadata);
    const { generationId } = classic;
    const assigned = new Map<Uuid, Map<number, number>>();
    for (const { topic, partitions } of readConsumerAssignment(member.assignment).assignedPartitions) {
      const id = this.context.topics.byName(topic)?.id;
      if (id !== undefined) assigned.set(id, new Map(partitions.map((partition) => [partition, generationId])));
    }
    return {
      ...newMember(member.memberId),
      instanceId: member.groupInstanceId,
      rackId: subscription.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      subscribedTopicNames: subscription.topics,
      classic: { sessionTimeoutMs: member.sessionTimeoutMs, protocols: member.protocols },
      memberEpoch: generationId,
      previousMemberEpoch: generationId,
      state: memberStates.stable,
      assigned,
    };
  }

  /** The timers of the classic group run on, in case it comes back; they find nothing to do where it does not. */
  private acceptUpgrade(classic: ClassicGroup, group: ConsumerGroup): void {
    const { groupId } = classic;
    const { timers } = this.context;
    for (const member of classic.members.values()) {
      const { memberId, sessionTimeoutMs } = member;
      classic.answerJoin(member, joinError(memberId, ErrorCode.REBALANCE_IN_PROGRESS));
      classic.answerSync(member, ErrorCode.REBALANCE_IN_PROGRESS);
      if (!group.members.has(memberId)) continue;
      const key = timerKeys.consumerSession(groupId, memberId);
      timers.set(key, sessionTimeoutMs, { kind: "consumer-session", groupId, memberId });
    }
  }

  // --- back ------------------------------------------------------------------------------------

  /** Whether those who are left speak the classic protocol, all of them, and may go back to it. */
  mayDowngrade(rest: readonly ConsumerMember[]): boolean {
    const { classic, consumerMigrationPolicy: policy } = this.context.config;
    if (rest.length === 0 || rest.length > classic.memberCountMax) return false;
    if (policy !== "bidirectional" && policy !== "downgrade") return false;
    return rest.every((member) => member.classic !== null);
  }

  /**
   * The records; the classic group is in place and rebalances. They are not to be replayed. With `successor` a static member takes over the place
   * of another; then the group rebalances only where its target is out of date.
   */
  downgrade(
    group: ConsumerGroup,
    rest: readonly ConsumerMember[],
    nowMs: number,
    successor: { readonly memberId: string; readonly of: string; readonly isStale: boolean } | null = null,
  ): GroupRecord[] {
    const { groupId } = group;
    const classic = new ClassicGroup(groupId, nowMs);
    classic.generationId = group.groupEpoch;
    const isStale = successor === null || successor.isStale;
    const assignments = new Map<string, Buffer>();
    for (const member of rest) {
      const targetId = successor?.memberId === member.memberId ? successor.of : member.memberId;
      // Until they have joined again members have what they had, not what they were to get: should the group change once more before that,
      // nobody else is given it.
      const assignment = this.assignmentBytes(member, isStale ? heldBy(member) : group.targetOf(targetId));
      assignments.set(member.memberId, assignment);
      const classicMember = new ClassicMember({
        memberId: member.memberId,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeoutMs: member.rebalanceTimeoutMs,
        sessionTimeoutMs: member.classic!.sessionTimeoutMs,
        protocols: member.classic!.protocols,
        assignment,
      });
      classic.add(classicMember, consumerProtocolType, null);
    }
    classic.state = "Stable";
    classic.protocolName = classic.selectProtocol();
    classic.readSubscriptions();
    this.context.groups.set(groupId, classic);
    // What is written stands a generation ahead where a rebalance is due: should the coordinator move before that ends, members join again, rather
    // than go on as if nobody had left.
    if (isStale) classic.generationId++;
    const records = [...consumerGroupTombstones(group), groupMetadataRecord(classic, assignments)];
    classic.generationId = group.groupEpoch;
    for (const member of classic.members.values()) {
      this.context.timers.cancel(timerKeys.consumerSession(groupId, member.memberId));
      this.context.timers.cancel(timerKeys.consumerClassicJoin(groupId, member.memberId));
      this.context.timers.cancel(timerKeys.consumerClassicSync(groupId, member.memberId));
      this.rebalance.restartSession(classic, member);
    }
    if (isStale) this.rebalance.prepare(classic, "the group went back to the classic protocol", nowMs);
    return records;
  }

  /** As the member's own consumers write it, in the version that its subscription has. */
  assignmentBytes(member: ConsumerMember, target: Target | Assigned): Buffer {
    const assignedPartitions: { topic: string; partitions: number[] }[] = [];
    for (const [topicId, partitions] of target) {
      const topic = this.context.topics.byId(topicId)?.name;
      if (topic === undefined) continue;
      const list = partitions instanceof Map ? [...partitions.keys()] : [...(partitions as readonly number[])];
      assignedPartitions.push({ topic, partitions: list.sort((a, b) => a - b) });
    }
    return writeConsumerAssignment({ assignedPartitions }, subscriptionOf(member)?.version ?? 0);
  }
}

/** What the member's first protocol says; null where it does not parse. */
export function subscriptionOf(
  member: Pick<ConsumerMember, "classic">,
): (ConsumerProtocolSubscription & { readonly version: number }) | null {
  const metadata = member.classic?.protocols[0]?.metadata;
  if (metadata === undefined) return null;
  try {
    return readConsumerSubscription(metadata);
  } catch (error) {
    if (error instanceof MalformedMessage) return null;
    throw error;
  }
}

/** What it has, and what it has still to give up. */
function heldBy({ assigned, pendingRevocation }: ConsumerMember): Assigned {
  const held = new Map(assigned);
  for (const [topic, partitions] of pendingRevocation)
    held.set(topic, new Map([...(held.get(topic) ?? []), ...partitions]));
  return held;
}

function userDataOf(member: ClassicMember): Buffer | null {
  try {
    return readConsumerAssignment(member.assignment).userData;
  } catch (error) {
    if (error instanceof MalformedMessage) return null;
    throw error;
  }
}

function targetOf(assigned: Assigned): Target {
  return new Map([...assigned].map(([topic, partitions]) => [topic, [...partitions.keys()].sort((a, b) => a - b)]));
}
