// A bound on the bytes a second that replication of throttled replicas may move (KIP-73). The rate is taken over a window of samples, as Kafka's is, so
// that a burst after a quiet time passes. Told the time; never waits itself.

/** replication.quota.window.num, replication.quota.window.size.seconds */
export const throttleSampleCount = 11;
export const throttleSampleMs = 1_000;

export class ReplicationThrottle {
  /** Unbounded until it is set. */
  bytesPerSecondMax = Number.POSITIVE_INFINITY;
  private readonly samples: { startMs: number; bytes: number }[] = [];

  record(bytes: number, nowMs: number): void {
    const last = this.samples.at(-1);
    if (last !== undefined && nowMs - last.startMs < throttleSampleMs) last.bytes += bytes;
    else this.samples.push({ startMs: nowMs, bytes });
    this.purge(nowMs);
  }

  isExceeded(nowMs: number): boolean {
    if (this.bytesPerSecondMax === Number.POSITIVE_INFINITY) return false;
    return this.bytesPerSecond(nowMs) > this.bytesPerSecondMax;
  }

  bytesPerSecond(nowMs: number): number {
    this.purge(nowMs);
    const first = this.samples[0];
    if (first === undefined) return 0;
    let bytes = 0;
    for (const sample of this.samples) bytes += sample.bytes;
    // A window that has only begun counts as nearly whole: one burst at its start is not a high rate.
    const elapsedMs = Math.max(nowMs - first.startMs, (throttleSampleCount - 1) * throttleSampleMs);
    return (bytes / elapsedMs) * 1_000;
  }

  private purge(nowMs: number): void {
    const { samples } = this;
    while (samples.length > 0 && nowMs - samples[0]!.startMs >= throttleSampleCount * throttleSampleMs) samples.shift();
  }
}

/** leader.replication.throttled.replicas, follower…: `*`, or `partition:broker` pairs. */
export function isReplicaThrottled(list: readonly string[], partition: number, brokerId: number): boolean {
  return list.includes("*") || list.includes(`${partition}:${brokerId}`);
}
