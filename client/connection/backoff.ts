// How long to wait before the next attempt: exponential with jitter (KIP-580), as Kafka's ExponentialBackoff. Keeps no state of its own.
import type { Random } from "@blumfeld/core/base";

export interface BackoffPolicy {
  readonly initialMs: number;
  readonly maxMs: number;
}

const growth = 2;
const jitter = 0.2;

/** The wait before attempt number `attempt` (the first retry is 0): `initialMs · 2^attempt`, at most `maxMs`, then spread by ±20 %. */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: Random): number {
  const exponent = Math.min(attempt, 30);
  const plain = Math.min(policy.initialMs * growth ** exponent, Math.max(policy.initialMs, policy.maxMs));
  const spread = 1 - jitter + (random.uint32() / 0x1_0000_0000) * 2 * jitter;
  return plain * spread;
}
