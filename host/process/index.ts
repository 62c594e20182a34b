export * from "./child-process.ts";
export * from "./system-clock.ts";
export * from "./system-random.ts";
export * from "./system-timers.ts";
export * from "./timer-wheel.ts";
