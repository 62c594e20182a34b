export * from "./tcp-limits.ts";
export * from "./tcp-network.ts";
