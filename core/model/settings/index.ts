export * from "./definition.ts";
export * from "./definitions.ts";
export * from "./parse.ts";
export * from "./properties-file.ts";
export * from "./update-modes.ts";
export * from "./validators.ts";
export * from "./value.ts";
