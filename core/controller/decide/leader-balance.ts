// What the active controller does by itself from time to time: partitions go back to their preferred leaders, and those without a leader get
// one that was not in sync where their topic allows that. A bound of changes each time; the caller comes back for the rest.
import type { MetadataRecordInit } from "../../protocol/index.ts";
import { leaderNone, type PartitionImage, type TopicImage } from "../image/index.ts";
import { type DecideContext, type Decision, decisionOf } from "./decision.ts";
import { TopicRules } from "./leaders.ts";

/** Elections of one decision; Kafka's own bound. */
export const balanceElectionCountMax = 1_000;

export interface BalanceAnswer {
  readonly electionCount: number;
  /** The bound was reached: there is more to do now. */
  readonly hasMore: boolean;
}

/** auto.leader.rebalance.enable: whoever is in sync and preferred leads. */
export function balanceLeaders(context: DecideContext): Decision<BalanceAnswer> {
  return electionsWhere(
    context,
    "preferred",
    (_rules, _topic, { leader, preferredLeader }) => leader !== preferredLeader,
  );
}

/** unclean.leader.election.enable of a topic: it rather loses records than waits for those who have them. */
export function electUncleanLeaders(context: DecideContext): Decision<BalanceAnswer> {
  return electionsWhere(
    context,
    "unclean",
    (rules, topic, { leader }) => leader === leaderNone && rules.isUncleanElectionAllowed(topic),
  );
}

function electionsWhere(
  context: DecideContext,
  election: "preferred" | "unclean",
  isDue: (rules: TopicRules, topic: TopicImage, partition: PartitionImage) => boolean,
): Decision<BalanceAnswer> {
  const rules = new TopicRules(context);
  const records: MetadataRecordInit[] = [];
  for (const topic of context.image.topics.byName.values()) {
    for (const [index, partition] of topic.partitions.entries()) {
      if (!isDue(rules, topic, partition)) continue;
      if (records.length === balanceElectionCountMax) {
        return decisionOf({ electionCount: records.length, hasMore: true }, records);
      }
      const record = rules.change(topic, index, { election });
      if (record !== null) records.push(record);
    }
  }
  return decisionOf({ electionCount: records.length, hasMore: false }, records);
}
