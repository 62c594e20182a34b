// One broker node: its parts put together, started and stopped in order. Decides nothing itself.
//
// Start: partitions from the image, then listeners, so that nobody is answered before the logs are open.
// Stop: no new connections; waiting fetches and produces answered; what was appended written; connections ended; logs closed by their owner.
import type { Clock, Disk, Logger, Meter, Network, Random, Timers, Uuid } from "@blumfeld/core/base";
import type { LogManager } from "@blumfeld/core/log";
import { TimerWheel } from "@blumfeld/host/process";
import type { BrokerConfig } from "./broker-config.ts";
import { FetchSessionCache } from "./fetch/fetch-session.ts";
import { ReadPace } from "./fetch/read-pace.ts";
import { ResponseBuffers } from "./fetch/response-buffers.ts";
import { createHandlers, type HandlerTable } from "./handlers/index.ts";
import { ConnectionLimits } from "./listener/connection-limits.ts";
import { Listener } from "./listener/listener.ts";
import type { ClusterAccess } from "./metadata/cluster-access.ts";
import { PartitionManager } from "./partition/partition-manager.ts";
import {
  type BrokerParts,
  type ControllerChannel,
  type MetadataSource,
  noQuota,
  type QuotaHook,
  type TransactionVerifier,
} from "./parts.ts";
import type { Peers } from "./peers/peers.ts";
import { Replication } from "./replication/replication.ts";
import { Router } from "./router.ts";
import type { ListenerSecurity } from "./security/listener-security.ts";
import { type Authorizer, allowAll } from "./security-seam.ts";

/** How exact the deadlines of waiting requests are. */
export const requestWheelTickMs = 5;

export interface BrokerOptions {
  readonly config: BrokerConfig;
  readonly clusterId: string;
  readonly incarnationId: Uuid;
  readonly metadata: MetadataSource;
  readonly cluster: ClusterAccess;
  readonly logManager: LogManager;
  readonly controllerChannel: ControllerChannel;
  readonly authorizer?: Authorizer;
  /** What listeners ask of connections. Default: nothing. */
  readonly listenerSecurity?: ListenerSecurity;
  readonly quotas?: QuotaHook;
  readonly transactionVerifier?: TransactionVerifier;
  /** To other brokers. Without them this broker follows nobody. */
  readonly peers?: Peers;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly network: Network;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly meter: Meter;
}

export class Broker {
  readonly parts: BrokerParts;
  readonly handlers: HandlerTable;
  private readonly router: Router;
  private readonly listeners: Listener[];
  private forgetImage: (() => void) | null = null;

  constructor(options: BrokerOptions) {
    const { config, clock, timers, logger, meter } = options;
    const partitions = new PartitionManager({
      nodeId: config.nodeId,
      logManager: options.logManager,
      clock,
      timers,
      logger,
    });
    this.parts = {
      ...options,
      partitions,
      authorizer: options.authorizer ?? allowAll,
      quotas: options.quotas ?? noQuota,
      transactionVerifier: options.transactionVerifier ?? null,
      peers: options.peers ?? null,
      replication: replicationOf(options, partitions),
      fetchSessions: new FetchSessionCache(config.fetchSessionCountMax, clock, options.random),
      responseBuffers: new ResponseBuffers(),
      readPace: new ReadPace(),
      requestWheel: new TimerWheel(timers, clock, { tickMs: requestWheelTickMs, slotCount: 1024 }),
    };
    this.handlers = createHandlers(this.parts);
    this.router = new Router({
      handlers: this.handlers,
      listenerKind: "broker",
      requestBytesMax: config.requestBytesMax,
      isUnstableApiVersionsEnabled: config.isUnstableApiVersionsEnabled,
      slowRequestMs: config.slowRequestMs,
      quotas: this.parts.quotas,
      clock,
      timers,
      logger,
      meter,
      runWriteTurn: () => partitions.writeTurn.runNow(),
    });
    const limits = new ConnectionLimits(config, clock);
    this.listeners = config.listeners.map(
      (listener) =>
        new Listener(listener, options.network, this.router, limits, {
          backlog: config.backlog,
          authentication: () => options.listenerSecurity?.authenticationFor(listener.name) ?? null,
          // The only listener is everybody's: brokers have none of their own that clients could fill.
          isProtected: listener.isInterBroker && config.listeners.length > 1,
        }),
    );
    this.registerGauges(meter);
  }

  private registerGauges(meter: Meter): void {
    const { fetchSessions, responseBuffers } = this.parts;
    meter.gauge("blumfeld_connections", "Open connections.", () => this.connectionCount);
    meter.gauge("blumfeld_fetch_sessions", "Incremental fetch sessions.", () => fetchSessions.size);
    meter.gauge(
      "blumfeld_fetch_session_evictions",
      "Fetch sessions that made room for others.",
      () => fetchSessions.evictionCount,
    );
    meter.gauge(
      "blumfeld_response_buffer_bytes",
      "Bytes of fetch answers that have not left.",
      () => responseBuffers.givenBytes,
    );
  }

  /** Opens the logs that the image names, then binds the listeners. Rejects with the system's code where one cannot be bound. */
  async start(): Promise<void> {
    const { metadata } = this.parts;
    this.parts.partitions.loadImage(metadata.image);
    this.forgetImage = metadata.onImage((delta, image) => this.parts.partitions.onImage(delta, image));
    for (const listener of this.listeners) await listener.start();
  }

  /** The port that the listener got; the first one's without a name. */
  port(listenerName?: string): number {
    const listener =
      listenerName === undefined ? this.listeners[0] : this.listeners.find((one) => one.config.name === listenerName);
    return listener?.port ?? 0;
  }

  /** Where each listener is bound, by name: what a broker registers with the controller. */
  endpoints(): { name: string; host: string; port: number }[] {
    return this.listeners.map(({ config, port }) => ({
      name: config.name,
      host: config.advertisedHost ?? config.host,
      port: config.advertisedPort ?? port,
    }));
  }

  get connectionCount(): number {
    return this.listeners.reduce((count, listener) => count + listener.sessionCount, 0);
  }

  /** After it resolves no request is in work and everything appended is written; the log manager is for its owner to close. */
  async stop(): Promise<void> {
    for (const listener of this.listeners) await listener.stopAccepting();
    this.forgetImage?.();
    this.parts.replication?.close();
    await this.parts.partitions.close();
    for (const listener of this.listeners) listener.closeSessions();
    this.parts.requestWheel.close();
  }
}

function replicationOf(options: BrokerOptions, partitions: PartitionManager): Replication | null {
  const { cluster, config, metadata, peers } = options;
  if (peers === undefined) return null;
  const listener = config.listeners.find(({ isInterBroker }) => isInterBroker) ?? config.listeners[0];
  const replication = new Replication({
    ...options,
    ...{ partitions, peers },
    nodeId: config.nodeId,
    settings: cluster.settings,
    interBrokerListener: listener?.name ?? "",
    image: () => metadata.image,
    brokerEpoch: () => cluster.brokerEpoch,
    channel: options.controllerChannel,
    directories: directoriesOf(options),
  });
  partitions.replication = replication;
  return replication;
}

/** The log directories with their ids, where both are known. */
function directoriesOf({ config, logManager }: BrokerOptions): { path: string; directoryId: Uuid }[] {
  const { directoryIds } = config;
  if (directoryIds.length !== logManager.directories.length) return [];
  return logManager.directories.map(({ path }, index) => ({ path, directoryId: directoryIds[index]! }));
}
