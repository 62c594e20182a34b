// Share groups: who is in them, what became of each record, and how that is kept.
export { type DescribedShareGroup, failedShareGroup } from "./group/share-describe.ts";
export { type SharedTopic, ShareGroup } from "./group/share-group.ts";
export type { ShareHeartbeatAnswer, ShareInitialization } from "./group/share-groups.ts";
export * from "./share-partition.ts";
export * from "./share-runs.ts";
export * from "./state-batches.ts";
export * from "./state-shard.ts";
