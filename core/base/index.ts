export * from "./assert.ts";
export * from "./brand.ts";
export * from "./bytes.ts";
export * from "./limits.ts";
export * from "./network.ts";
export * from "./ports.ts";
export * from "./prng.ts";
export * from "./uuid.ts";
