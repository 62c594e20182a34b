// What a SASL token without a header (after SaslHandshake v0) is answered by, and the wait before a refusal.
import type { Timers } from "@blumfeld/core/base";
import type { ConnectionAuthentication, TokenOutcome } from "./connection-authentication.ts";

/** Of the connection that failed; others go on. */
export function pause(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => void timers.after(ms, resolve));
}

/** Bytes to send, or why the connection ends. */
export async function tokenAnswer(
  timers: Timers,
  authentication: ConnectionAuthentication,
  token: Buffer,
): Promise<{ readonly bytes: Buffer; readonly outcome: TokenOutcome } | { readonly reason: string }> {
  const outcome = await authentication.onToken(token);
  if (outcome === null) return { reason: "a SASL token out of order" };
  if (outcome.kind !== "failed") return { bytes: outcome.bytes, outcome };
  await pause(timers, authentication.failureDelayMs);
  return { reason: `authentication failed: ${outcome.reason}` };
}
