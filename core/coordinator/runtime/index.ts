export * from "./shard.ts";
export * from "./shard-runtime.ts";
export * from "./timer-table.ts";
export * from "./undo-log.ts";
