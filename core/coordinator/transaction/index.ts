export * from "./end-transition.ts";
export * from "./transaction.ts";
export * from "./transaction-config.ts";
export * from "./transaction-shard.ts";
