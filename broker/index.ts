// The broker: listener → session → router → handlers → partitions.
export * from "./broker.ts";
export * from "./broker-config.ts";
export * from "./fetch/fetch-session.ts";
export * from "./partition/index.ts";
export * from "./parts.ts";
export * from "./request-context.ts";
export * from "./security-seam.ts";
