// Kafka's settings: declared, parsed, resolved. The package @blumfeld/core/model/settings.
export * from "./acted-on.ts";
export * from "./broker-settings.ts";
export * from "./definition.ts";
export * from "./definitions.ts";
export * from "./described-setting.ts";
export * from "./endpoints.ts";
export * from "./node-rules.ts";
export * from "./parse.ts";
export * from "./properties-file.ts";
export * from "./synonyms.ts";
export * from "./topic-rules.ts";
export * from "./topic-settings.ts";
export * from "./update-modes.ts";
export * from "./validators.ts";
export * from "./value.ts";
