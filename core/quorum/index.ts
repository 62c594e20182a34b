// The metadata quorum: an ordered, durable log of metadata records with one leader at a time, and the files around it.
export { controllerFetchWaitMsMax } from "./answers/fetch-answer.ts";
export { clusterProblem, leaderEndpoints } from "./answers/peer-answers.ts";
export type { PeerContext } from "./answers/peer-context.ts";
export { epochPeriodMs, epochsPerPeriodMax } from "./epoch-allowance.ts";
export * from "./metadata-quorum.ts";
export { observerCountMax, observerSessionMs } from "./observers.ts";
export { type LoadedQuorum, loadQuorum } from "./quorum-loader.ts";
export type { QuorumLog } from "./quorum-log.ts";
export * from "./quorum-options.ts";
export * from "./quorum-replica.ts";
export * from "./replicated-log.ts";
export { quorumBatchBytesMax } from "./roles/leader.ts";
export type { RoleName } from "./roles/role.ts";
export * from "./snapshot-id.ts";
export { type SnapshotLimits, snapshotLimitsDefault } from "./snapshot-keeper.ts";
export {
  decodeMetadataBatch,
  type MetadataBatch,
  readMetadataBatches,
  readSnapshot,
  SnapshotDamaged,
} from "./snapshot-reader.ts";
export { SnapshotWriter, writeSnapshotNow } from "./snapshot-writer.ts";
export * from "./storage/meta-properties.ts";
export * from "./storage/quorum-state.ts";
export * from "./storage/storage-directories.ts";
export { caughtUpMsMax, type VoterChangeAnswer } from "./voter-changes.ts";
export { kraftVersionRange } from "./voter-updater.ts";
