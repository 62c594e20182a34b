// The settings of a broker that its data plane acts on, typed and in units. Read from the settings once, at start.
import type { Uuid } from "@blumfeld/core/base";

export interface ListenerConfig {
  /** `PLAINTEXT`, `INTERNAL` …: the listener's name, not its protocol. */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly isInterBroker: boolean;
  /** What metadata answers give to clients; null gives the bound address. */
  readonly advertisedHost: string | null;
  readonly advertisedPort: number | null;
}

export interface BrokerConfig {
  readonly nodeId: number;
  readonly rack: string | null;
  readonly directoryIds: readonly Uuid[];
  readonly listeners: readonly ListenerConfig[];
  /** socket.listen.backlog.size */
  readonly backlog?: number;
  readonly requestBytesMax: number;
  readonly connectionsIdleMs: number;
  readonly connectionsMax: number;
  readonly connectionsPerIpMax: number;
  /** `max.connections.per.ip.overrides`. */
  readonly connectionsPerIpMaxOf: ReadonlyMap<string, number>;
  readonly connectionRateMax: number;
  readonly fetchSessionCountMax: number;
  readonly fetchBytesMax: number;
  readonly isUnstableApiVersionsEnabled: boolean;
  /** The feature levels that this broker can run with. */
  readonly supportedFeatures: readonly {
    readonly name: string;
    readonly minVersion: number;
    readonly maxVersion: number;
  }[];
  /** Requests that take longer are logged. Null: none. */
  readonly slowRequestMs: number | null;
}

export const brokerConfigDefaults: BrokerConfig = {
  nodeId: 1,
  rack: null,
  directoryIds: [],
  listeners: [
    {
      name: "PLAINTEXT",
      host: "127.0.0.1",
      port: 9092,
      isInterBroker: true,
      advertisedHost: null,
      advertisedPort: null,
    },
  ],
  requestBytesMax: 100 * 1024 * 1024,
  connectionsIdleMs: 600_000,
  connectionsMax: 0x7fff_ffff,
  connectionsPerIpMax: 0x7fff_ffff,
  connectionsPerIpMaxOf: new Map(),
  connectionRateMax: 0x7fff_ffff,
  fetchSessionCountMax: 1000,
  fetchBytesMax: 55 * 1024 * 1024,
  isUnstableApiVersionsEnabled: false,
  supportedFeatures: [],
  slowRequestMs: null,
};
