// How many connections a listener takes, from whom, how fast. Decides; the listener asks before anything is read from a peer.
import type { Clock } from "@blumfeld/core/base";

export interface ConnectionLimitsOptions {
  /** max.connections, of all client listeners of the broker. */
  readonly connectionsMax: number;
  /** max.connections.per.ip */
  readonly connectionsPerIpMax: number;
  /** max.connections.per.ip.overrides */
  readonly connectionsPerIpMaxOf: ReadonlyMap<string, number>;
  /** max.connection.creation.rate, a second. */
  readonly connectionRateMax: number;
}

/** A connection above the rate waits; one that would wait longer than this is closed. */
export const admissionDelayMsMax = 1_000;

export class ConnectionLimits {
  private readonly options: ConnectionLimitsOptions;
  private readonly clock: Clock;
  private total = 0;
  private readonly byAddress = new Map<string, number>();
  /** When the next connection may begin at the bounded rate. */
  private nextAtMs = 0;

  constructor(options: ConnectionLimitsOptions, clock: Clock) {
    this.options = options;
    this.clock = clock;
  }

  /** Negative: refused. Else it is counted, and begins after so many ms. */
  admit(address: string, isProtected: boolean): number {
    const ofAddress = this.byAddress.get(address) ?? 0;
    const perIpMax = this.options.connectionsPerIpMaxOf.get(address) ?? this.options.connectionsPerIpMax;
    if (ofAddress >= perIpMax) return -1;
    // Brokers among themselves are never kept out by clients.
    if (!isProtected && this.total >= this.options.connectionsMax) return -1;
    const delayMs = isProtected ? 0 : this.delayMs();
    if (delayMs > admissionDelayMsMax) return -1;
    this.total++;
    this.byAddress.set(address, ofAddress + 1);
    return delayMs;
  }

  private delayMs(): number {
    const rate = this.options.connectionRateMax;
    if (rate >= 0x7fff_ffff) return 0;
    const nowMs = this.clock.monotonicMs();
    // A second's worth may come at once.
    const earliestMs = Math.max(this.nextAtMs, nowMs - 1_000);
    const delayMs = Math.max(0, earliestMs - nowMs);
    if (delayMs <= admissionDelayMsMax) this.nextAtMs = earliestMs + 1_000 / rate;
    return delayMs;
  }

  release(address: string): void {
    this.total--;
    const ofAddress = (this.byAddress.get(address) ?? 1) - 1;
    if (ofAddress <= 0) this.byAddress.delete(address);
    else this.byAddress.set(address, ofAddress);
  }
}
