// AlterPartition: a leader asks for another ISR (KIP-497), with each member's broker epoch (KIP-841) and its own recovery (KIP-704). The
// controller grants what still fits what it knows; the answer is the partition as it is then.
import { type AlterPartitionResponseInit, ErrorCode, type MetadataRecordInit } from "../../protocol/index.ts";
import {
  leaderRecovered,
  leaderRecovering,
  leaderUnchanged,
  type PartitionImage,
  type TopicImage,
} from "../image/index.ts";
import { staleBrokerRefusal } from "./brokers.ts";
import { type DecideContext, type Decision, DecisionRefused, decisionOf } from "./decision.ts";
import { TopicRules } from "./leaders.ts";

export interface WantedIsrMember {
  readonly brokerId: number;
  /** -1: not known, not checked. */
  readonly brokerEpoch: number;
}

export interface WantedPartition {
  readonly partitionIndex: number;
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly leaderRecoveryState: number;
  readonly isr: readonly WantedIsrMember[];
}

export interface AlterPartitionWish {
  readonly brokerId: number;
  readonly brokerEpoch: number;
  readonly topics: readonly { readonly topicId: TopicImage["id"]; readonly partitions: readonly WantedPartition[] }[];
}

type TopicAnswer = AlterPartitionResponseInit["topics"][number];
type PartitionAnswer = TopicAnswer["partitions"][number];

/** Throws DecisionRefused where the broker is not the one that is registered. */
export function alterPartition(context: DecideContext, wish: AlterPartitionWish): Decision<AlterPartitionResponseInit> {
  const stale = staleBrokerRefusal(context, wish.brokerId, wish.brokerEpoch);
  if (stale !== null) throw new DecisionRefused(stale.errorCode, stale.errorMessage ?? "");
  const rules = new TopicRules(context);
  const records: MetadataRecordInit[] = [];
  const topics = wish.topics.map(({ topicId, partitions }): TopicAnswer => {
    const topic = context.image.topicsById.get(topicId);
    return {
      topicId,
      partitions: partitions.map((wanted) =>
        topic === undefined
          ? refused(wanted, ErrorCode.UNKNOWN_TOPIC_ID)
          : alterOne(context, rules, wish.brokerId, topic, wanted, records),
      ),
    };
  });
  return decisionOf({ throttleTimeMs: 0, errorCode: ErrorCode.NONE, topics }, records);
}

function refused({ partitionIndex }: WantedPartition, errorCode: ErrorCode): PartitionAnswer {
  return { partitionIndex, errorCode, leaderId: 0, leaderEpoch: 0, isr: [], leaderRecoveryState: 0, partitionEpoch: 0 };
}

function alterOne(
  context: DecideContext,
  rules: TopicRules,
  brokerId: number,
  topic: TopicImage,
  wanted: WantedPartition,
  records: MetadataRecordInit[],
): PartitionAnswer {
  const { partitionIndex } = wanted;
  const before = topic.partitions[partitionIndex];
  if (before === undefined) return refused(wanted, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const problem = problemOf(context, brokerId, before, wanted);
  if (problem !== null) return refused(wanted, problem);
  const record = rules.change(topic, partitionIndex, {
    targetIsr: wanted.isr.map((member) => member.brokerId),
    targetLeaderRecoveryState: wanted.leaderRecoveryState,
  });
  if (record === null || record.type !== "PartitionChangeRecord") return granted(partitionIndex, before);
  records.push(record);
  const { value } = record;
  const leader = value.leader ?? leaderUnchanged;
  // The ISR completed a reassignment, and the asker leads no longer: it must read the metadata before it asks again.
  if (leader !== leaderUnchanged && leader !== brokerId) return refused(wanted, ErrorCode.NEW_LEADER_ELECTED);
  return granted(partitionIndex, {
    leader: leader === leaderUnchanged ? before.leader : leader,
    leaderEpoch: leader === leaderUnchanged ? before.leaderEpoch : before.leaderEpoch + 1,
    partitionEpoch: before.partitionEpoch + 1,
    isr: value.isr ?? before.isr,
    leaderRecoveryState: value.leaderRecoveryState ?? before.leaderRecoveryState,
  });
}

function granted(
  partitionIndex: number,
  after: Pick<PartitionImage, "leader" | "leaderEpoch" | "partitionEpoch" | "isr" | "leaderRecoveryState">,
): PartitionAnswer {
  const { isr, leader, leaderEpoch, leaderRecoveryState, partitionEpoch } = after;
  const errorCode = ErrorCode.NONE;
  return { partitionIndex, errorCode, leaderId: leader, leaderEpoch, isr, leaderRecoveryState, partitionEpoch };
}

/** Null where the wish may be granted. Kafka's order: an asker that knows more than this node has found a former controller. */
function problemOf(
  context: DecideContext,
  brokerId: number,
  partition: PartitionImage,
  wanted: WantedPartition,
): ErrorCode | null {
  if (wanted.leaderEpoch > partition.leaderEpoch || wanted.partitionEpoch > partition.partitionEpoch) {
    return ErrorCode.NOT_CONTROLLER;
  }
  if (wanted.leaderEpoch < partition.leaderEpoch) return ErrorCode.FENCED_LEADER_EPOCH;
  if (brokerId !== partition.leader) return ErrorCode.INVALID_REQUEST;
  if (wanted.partitionEpoch < partition.partitionEpoch) return ErrorCode.INVALID_UPDATE_VERSION;
  const isr = wanted.isr.map((member) => member.brokerId);
  const isSubset = isr.every((replica) => partition.replicas.includes(replica));
  if (!isSubset || new Set(isr).size < isr.length || !isr.includes(partition.leader)) return ErrorCode.INVALID_REQUEST;
  const { leaderRecoveryState } = wanted;
  if (leaderRecoveryState !== leaderRecovered && leaderRecoveryState !== leaderRecovering) {
    return ErrorCode.INVALID_REQUEST;
  }
  if (leaderRecoveryState === leaderRecovering) {
    // Nobody can follow a leader that is recovering, and none begins to recover by itself.
    if (isr.length > 1 || partition.leaderRecoveryState === leaderRecovered) return ErrorCode.INVALID_REQUEST;
  }
  return wanted.isr.every((member) => isEligible(context, member)) ? null : ErrorCode.INELIGIBLE_REPLICA;
}

/** KIP-841: a broker that restarted meanwhile has another epoch, and may have lost what it was in sync with. */
function isEligible({ image }: DecideContext, { brokerEpoch, brokerId }: WantedIsrMember): boolean {
  if (!image.cluster.isActive(brokerId)) return false;
  return brokerEpoch === -1 || image.cluster.broker(brokerId)!.epoch === brokerEpoch;
}
