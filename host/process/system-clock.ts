// The process's two clocks.
import { performance } from "node:perf_hooks";
import type { Clock } from "@blumfeld/core/base";

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
