// The coordinators: groups, share groups and transactions, each as shards that decide. See docs/design/coordinators.md.
export * from "./group/index.ts";
export * from "./runtime/index.ts";
export * from "./share/index.ts";
export * from "./streams/index.ts";
export * from "./transaction/index.ts";
