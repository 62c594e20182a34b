// Groups: offsets, classic groups, consumer groups.
export { ClassicGroup } from "./classic/classic-group.ts";
export type { JoinAnswer, SyncAnswer } from "./classic/classic-member.ts";
export { memberErrorOfAppend } from "./classic/classic-rebalance.ts";
export { type DescribedConsumerGroup, failedConsumerGroup } from "./consumer/consumer-describe.ts";
export { ConsumerGroup } from "./consumer/consumer-group.ts";
export { consumerAssignors } from "./consumer/consumer-target.ts";
export * from "./group.ts";
export * from "./group-administration.ts";
export * from "./group-config.ts";
export * from "./group-context.ts";
export * from "./group-records.ts";
export * from "./group-shard.ts";
export * from "./group-timers.ts";
export * from "./group-topics.ts";
export * from "./offsets/group-offsets.ts";
export * from "./offsets/offset-store.ts";
export { LinearRegex } from "./regex/linear-regex.ts";
export { RegexProblem } from "./regex/parse.ts";
