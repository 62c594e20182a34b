// The metadata quorum: an ordered, durable log of metadata records with one leader, and the files around it. One voter so far.
export * from "./metadata-quorum.ts";
export { type LoadedQuorum, loadQuorum } from "./quorum-loader.ts";
export type { QuorumLog } from "./quorum-log.ts";
export * from "./quorum-of-one.ts";
export * from "./quorum-requests.ts";
export * from "./replicated-log.ts";
export * from "./snapshot-id.ts";
export { type SnapshotLimits, snapshotLimitsDefault } from "./snapshot-keeper.ts";
export { type MetadataBatch, readMetadataBatches, readSnapshot, SnapshotDamaged } from "./snapshot-reader.ts";
export { SnapshotWriter, writeSnapshotNow } from "./snapshot-writer.ts";
export * from "./storage/meta-properties.ts";
export * from "./storage/quorum-state.ts";
export * from "./storage/storage-directories.ts";
