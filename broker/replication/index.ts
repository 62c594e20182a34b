// Replication of data between brokers.
export * from "./directory-assignments.ts";
export * from "./fetch-entry.ts";
export * from "./isr-changes.ts";
export * from "./replica-fetcher.ts";
export * from "./replication.ts";
export * from "./throttles.ts";
