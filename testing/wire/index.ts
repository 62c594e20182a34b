export * from "./batches.ts";
export * from "./connection.ts";
