// One node put together, in either role or both: disks, metadata, logs, broker. Started in the order that keeps promises, stopped in the reverse.
//
// Start: locks → controller's listeners bound → metadata log replayed, this node takes up its part and answers there → caught up with the
//        cluster's metadata → logs opened → clients' listeners bound → registered and unfenced → ready.
// Stop:  partitions laid down → listeners closed, appends written → logs closed with their mark → controller's listeners closed → metadata log
//        closed → locks released.
import { allowAll, Broker, followMovedReplica, takeDirectoryOffline } from "@blumfeld/broker";
import { ControllerServer } from "@blumfeld/broker/controller-listener";
import { ForeignCluster, MetadataNode, newIncarnationId } from "@blumfeld/broker/metadata";
import { PeerConnections, type Peers } from "@blumfeld/broker/peers";
import {
  type Clock,
  type Disk,
  DiskError,
  type Logger,
  type Network,
  type Random,
  type Timers,
  type Uuid,
} from "@blumfeld/core/base";
import type { RegisteredEndpoint } from "@blumfeld/core/controller";
import { LogDirectoryProblem, LogManager, type LogManagerOptions } from "@blumfeld/core/log";
import {
  type BrokerSettings,
  formatHostAndPort,
  type SecurityProtocol,
  securityProtocols,
} from "@blumfeld/core/model/settings";
import type { Storage } from "@blumfeld/core/quorum";
import { FileDisk, MemoryDisk } from "@blumfeld/host/disk";
import { systemClock, systemRandom, systemTimers } from "@blumfeld/host/process";
import { type TcpLimits, TcpNetwork } from "@blumfeld/host/transport";
import { brokerConfigFrom } from "./broker-config.ts";
import { cleanerSettingsFrom, logConfigFrom } from "./log-config.ts";
import { showLogMetrics } from "./log-metrics.ts";
import { openMetadataLog } from "./metadata-log.ts";
import type { MetricRegistry } from "./meter.ts";
import { type NodeSecurity, nodeSecurityFrom } from "./security.ts";
import { addressRefused, diskRefused, StartRefused } from "./start-refused.ts";
import { openNodeStorage } from "./storage.ts";
import { checkSupported } from "./supported.ts";

export interface NodeParts {
  readonly settings: BrokerSettings;
  readonly isInMemory: boolean;
  readonly logger: Logger;
  readonly registry: MetricRegistry;
  /** A disk or the metadata log failed for good: nothing more will be acknowledged. */
  readonly onFailure: (error: unknown) => void;
  /** In place of the machine's, as in a simulation. */
  readonly ports?: NodePorts | undefined;
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
}

export interface NodePorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly network: Network;
}

export interface RunningNode {
  readonly bootstrap: string;
  readonly host: string;
  readonly port: number;
  /** Of the controller's first listener. */
  readonly controllerPort: number;
  readonly clusterId: string;
  close(): Promise<void>;
}

/** Rejects with StartRefused where a person can mend it; whatever was opened is closed again then. */
export async function startNode(parts: NodeParts): Promise<RunningNode> {
  checkSupported(parts.settings);
  const closers: (() => void | Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    // Whatever fails to close, the rest still must: a lock that stays would keep the next start away.
    for (const closer of closers.splice(0).reverse()) {
      try {
        await closer();
      } catch (error) {
        parts.logger.error({ err: error }, "a part of the node did not close cleanly");
      }
    }
  };
  try {
    return { ...(await composeNode(parts, closers)), close: closeAll };
  } catch (error) {
    await closeAll();
    throw told(error);
  }
}

function told(error: unknown): unknown {
  if (error instanceof LogDirectoryProblem) return new StartRefused("directory-in-use", error.message, "", error);
  if (error instanceof ForeignCluster)
    return new StartRefused(
      "directory-foreign",
      error.message,
      "name that cluster's controllers in controller.quorum.voters or controller.quorum.bootstrap.servers, or format empty directories with the other cluster's id",
      error,
    );
  return diskRefused(error);
}

type Closers = (() => void | Promise<void>)[];

interface Composition {
  readonly parts: NodeParts;
  readonly closers: Closers;
  readonly ports: Ports;
  readonly storage: Storage;
  readonly incarnationId: Uuid;
  readonly network: Network;
  readonly peers: Peers;
  readonly security: NodeSecurity;
}

async function composeNode(parts: NodeParts, closers: Closers): Promise<Omit<RunningNode, "close">> {
  const { isInMemory, logger, settings } = parts;
  const disk: Disk = parts.ports?.disk ?? (isInMemory ? new MemoryDisk() : new FileDisk());
  const ports = { clock: systemClock, timers: systemTimers, random: systemRandom, ...parts.ports, disk, logger };
  const { release, storage } = openNodeStorage(settings, ports);
  closers.push(release);
  const incarnationId = newIncarnationId(ports.random);
  const network: Network = parts.ports?.network ?? new TcpNetwork(tcpLimitsFrom(settings));
  const peers = new PeerConnections({ ...ports, network, clientId: `node-${storage.nodeId}` });
  closers.push(() => peers.close());
  let metadata: MetadataNode | null = null;
  const security = nodeSecurityFrom(settings, { ...ports, image: () => metadata?.image ?? null });
  const composition = { parts, closers, ports, storage, incarnationId, network, peers, security };
  const { controllerServer, node } = await composeMetadata(composition, (made) => {
    metadata = made;
  });
  const { isBroker } = settings.shape;
  const broker = isBroker ? await composeBroker(composition, node) : null;
  const { clusterId } = storage;
  const controllerPort = controllerServer?.port ?? 0;
  const { host, port } = broker === null ? { host: "127.0.0.1", port: controllerPort } : boundAddress(broker, settings);
  return { host, port, controllerPort, bootstrap: formatHostAndPort(host, port), clusterId };
}

/** The quorum's part of this node, and the controllers' listeners where it has that role. */
async function composeMetadata(
  { closers, incarnationId, network, parts, peers, ports, security, storage }: Composition,
  onNode: (node: MetadataNode) => void,
): Promise<{ readonly node: MetadataNode; readonly controllerServer: ControllerServer | null }> {
  const { registry, settings } = parts;
  const authorizer = security.authorizer ?? allowAll;
  const directoryIds = storage.directories.map(({ directoryId }) => directoryId);
  const config = brokerConfigFrom(settings, directoryIds, "controllers");
  const controllerServer = settings.shape.isController
    ? new ControllerServer({ ...ports, config, network, meter: registry, listenerSecurity: security.listeners })
    : null;
  if (controllerServer !== null) {
    closers.push(() => controllerServer.close());
    await bindControllers(controllerServer, settings);
  }
  const started = await MetadataNode.start({
    ...ports,
    ...{ settings, storage, incarnationId, peers, authorizer },
    log: openMetadataLog(settings, storage, ports),
    controllerEndpoints: registeredEndpoints(controllerServer?.endpoints() ?? [], settings),
    onFailure: parts.onFailure,
  });
  if (started.kind === "refused") throw new StartRefused("directory-foreign", started.message, "");
  const { node } = started;
  onNode(node);
  closers.push(() => node.close());
  const stopFollowing = security.authorizer?.follow(node);
  if (stopFollowing !== undefined) closers.push(stopFollowing);
  if (controllerServer !== null) {
    controllerServer.open({
      ...{ config, authorizer, metadata: node, cluster: node, timers: ports.timers },
      clusterId: storage.clusterId,
      controllerChannel: node.channel,
      quorum: node.quorum,
    });
    closers.push(() => controllerServer.close());
  }
  return { node, controllerServer };
}

async function composeBroker(
  { closers, incarnationId, network, parts, peers, ports, security, storage }: Composition,
  node: MetadataNode,
): Promise<Broker> {
  const { logger, registry, settings } = parts;
  await node.catchUp();
  const onOffline: ((directory: string) => void)[] = [(directory) => node.onDirectoryFailure(directory)];
  const onMoved: NonNullable<LogManagerOptions["onMoved"]>[] = [];
  const logManager = await openLogs(parts, ports, node, {
    onOffline: (directory) => {
      for (const work of onOffline) work(directory);
    },
    onMoved: (previous, next) => {
      for (const work of onMoved) work(previous, next);
    },
  });
  closers.push(() => logManager.close({ brokerEpoch: node.brokerEpoch }));
  showLogMetrics(logManager, registry);
  const directoryIds = storage.directories.map(({ directoryId }) => directoryId);
  const broker = new Broker({
    ...ports,
    ...{ incarnationId, logManager, network, peers, metadata: node, cluster: node, meter: registry },
    config: brokerConfigFrom(settings, directoryIds),
    clusterId: storage.clusterId,
    authorizer: security.authorizer ?? allowAll,
    listenerSecurity: security.listeners,
    controllerChannel: node.channel,
  });
  closers.push(() => broker.stop());
  onOffline.push((directory) => {
    const count = takeDirectoryOffline(broker.parts.partitions, directory);
    logger.error({ directory, count }, `${count} partitions are offline with their directory`);
  });
  onMoved.push((previous, next) => followMovedReplica(broker.parts.partitions, previous, next));
  await startListeners(broker, settings);
  await node.register({
    endpoints: registeredEndpoints(broker.endpoints(), settings),
    previousBrokerEpoch: Math.min(...logManager.directories.map((directory) => directory.previousBrokerEpoch)),
  });
  closers.push(() => node.leave());
  await node.unfence();
  logManager.startTimers();
  return broker;
}

function tcpLimitsFrom(settings: BrokerSettings): Partial<TcpLimits> {
  const queuedBytes = settings.get("queued.max.request.bytes");
  const idleMs = settings.get("connections.max.idle.ms");
  return {
    // A negative time is Kafka's word for never.
    connectionIdleMs: idleMs < 0 ? Number.MAX_SAFE_INTEGER : idleMs,
    ...(queuedBytes > 0 ? { receiveBytesMax: queuedBytes } : {}),
  };
}

type Ports = { readonly disk: Disk; readonly logger: Logger } & Omit<
  Parameters<typeof LogManager.open>[0],
  "directories" | "configOf"
>;

async function openLogs(
  parts: NodeParts,
  ports: Ports,
  metadata: MetadataNode,
  on: { readonly onOffline: (directory: string) => void; readonly onMoved: LogManagerOptions["onMoved"] },
): Promise<LogManager> {
  const { logger, settings } = parts;
  const { nodeId } = settings.shape;
  const configOf = (topic: string) => logConfigFrom(settings.topic(metadata.image.configs.topic(topic)));
  // The last directory that fails during the start makes the start itself fail.
  let opened: LogManager | null = null;
  const logManager = await LogManager.open({
    ...ports,
    directories: settings.shape.logDirectories,
    areLocksHeld: true,
    configOf,
    onProgress: parts.onProgress,
    producerIdExpirationMs: settings.get("producer.id.expiration.ms"),
    onMoved: on.onMoved,
    moveBytesPerSecond: () => settings.get("replica.alter.log.dirs.io.max.bytes.per.second"),
    isGroupCommit: settings.get("blumfeld.log.group.commit.enable"),
    cleaner: () => cleanerSettingsFrom(settings),
    intervals: {
      cleanerMs: settings.get("log.cleaner.backoff.ms"),
      retentionMs: settings.get("log.retention.check.interval.ms"),
      checkpointMs: settings.get("log.flush.offset.checkpoint.interval.ms"),
      highWatermarkMs: settings.get("replica.high.watermark.checkpoint.interval.ms"),
      producerExpirationMs: settings.get("producer.id.expiration.check.interval.ms"),
    },
    isStray: ({ topic, partition }, topicId) => {
      const known = metadata.image.topics.get(topic);
      if (known === undefined || (topicId !== null && known.id !== topicId)) return true;
      return known.partitions[partition]?.replicas.includes(nodeId) !== true;
    },
    onDirectoryFailure: (directory, error) => {
      logger.error({ directory, code: error.code }, `the log directory failed and is offline: ${error.message}`);
      on.onOffline(directory);
      if (opened?.directories.every(({ isOffline }) => isOffline) === true) parts.onFailure(error);
    },
  });
  opened = logManager;
  // A broker-wide setting reaches every topic that does not override it.
  settings.onChange(() => {
    for (const topic of new Set([...logManager.logs()].map(({ topicPartition }) => topicPartition.topic)))
      logManager.updateConfig(topic);
  });
  return logManager;
}

async function startListeners(broker: Broker, settings: BrokerSettings): Promise<void> {
  try {
    await broker.start();
  } catch (error) {
    if (error instanceof DiskError) throw error;
    const { controllerListenerNames, listeners } = settings.shape;
    const [first] = listeners.filter(({ listenerName }) => !controllerListenerNames.includes(listenerName));
    const { address, port } = error as { address?: string; port?: number };
    throw addressRefused(error, "clients", address ?? first!.host, port ?? first!.port);
  }
}

async function bindControllers(server: ControllerServer, settings: BrokerSettings): Promise<void> {
  try {
    await server.bind();
  } catch (error) {
    const { controllerListenerNames, listeners } = settings.shape;
    const [first] = listeners.filter(({ listenerName }) => controllerListenerNames.includes(listenerName));
    const { address, port } = error as { address?: string; port?: number };
    throw addressRefused(error, "controllers", address ?? first!.host, port ?? first!.port);
  }
}

/** Kafka's codes of security protocols are their places in the list. */
function securityProtocolCode(protocol: SecurityProtocol): number {
  return securityProtocols.indexOf(protocol);
}

function registeredEndpoints(
  endpoints: readonly { readonly name: string; readonly host: string; readonly port: number }[],
  settings: BrokerSettings,
): RegisteredEndpoint[] {
  const { listeners } = settings.shape;
  return endpoints.map((endpoint) => {
    const listener = listeners.find(({ listenerName }) => listenerName === endpoint.name);
    return { ...endpoint, securityProtocol: securityProtocolCode(listener!.securityProtocol) };
  });
}

/** Of the first listener for clients, as one connects to it from this machine. */
function boundAddress(broker: Broker, settings: BrokerSettings): { host: string; port: number } {
  const { controllerListenerNames, listeners } = settings.shape;
  const [first] = listeners.filter(({ listenerName }) => !controllerListenerNames.includes(listenerName));
  const everywhere = ["", "0.0.0.0", "::"].includes(first!.host);
  return { host: everywhere ? "127.0.0.1" : first!.host, port: broker.port() };
}
