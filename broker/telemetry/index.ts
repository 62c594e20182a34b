export * from "./client-telemetry.ts";
export * from "./subscription.ts";
