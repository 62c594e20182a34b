// Looks through the files of a log directory without opening it as one: for `blum fsck` and `blum dump`. Reads only.
export { usedEntries } from "./check-indexes.ts";
export * from "./check-partition.ts";
export * from "./finding.ts";
export { decodeProducerSnapshotEntries } from "./producers.ts";
export * from "./segment-scan.ts";
