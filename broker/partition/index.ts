export * from "./directory-failure.ts";
export * from "./partition.ts";
export * from "./partition-manager.ts";
export * from "./partition-replication.ts";
export * from "./waiting.ts";
export * from "./write-pace.ts";
export * from "./write-turn.ts";
