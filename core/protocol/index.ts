export * from "./apis.ts";
export * from "./codec.ts";
export * from "./frame.ts";
export * from "./generated/index.ts";
export * from "./record-registry.ts";
