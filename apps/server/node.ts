// One node put together: disks, metadata, logs, broker. Started in the order that keeps promises, stopped in the reverse.
//
// Start: locks → controller's listeners bound → metadata log replayed, this node leads and answers there → logs opened → clients' listeners
//        bound → registered and unfenced → ready.
// Stop:  partitions laid down → listeners closed, appends written → logs closed with their mark → controller's listeners closed → metadata log
//        closed → locks released.
import { allowAll, Broker, takeDirectoryOffline } from "@blumfeld/broker";
import { ControllerServer } from "@blumfeld/broker/controller-listener";
import { MetadataNode, newIncarnationId } from "@blumfeld/broker/metadata";
import { type Disk, DiskError, type Logger } from "@blumfeld/core/base";
import type { RegisteredEndpoint } from "@blumfeld/core/controller";
import { LogDirectoryProblem, LogManager } from "@blumfeld/core/log";
import {
  type BrokerSettings,
  formatHostAndPort,
  type SecurityProtocol,
  securityProtocols,
} from "@blumfeld/core/model/settings";
import { FileDisk, MemoryDisk } from "@blumfeld/host/disk";
import { systemClock, systemRandom, systemTimers } from "@blumfeld/host/process";
import { type TcpLimits, TcpNetwork } from "@blumfeld/host/transport";
import { brokerConfigFrom } from "./broker-config.ts";
import { cleanerSettingsFrom, logConfigFrom } from "./log-config.ts";
import { showLogMetrics } from "./log-metrics.ts";
import { openMetadataLog } from "./metadata-log.ts";
import type { MetricRegistry } from "./meter.ts";
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
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
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
  return diskRefused(error);
}

type Closers = (() => void | Promise<void>)[];

async function composeNode(parts: NodeParts, closers: Closers): Promise<Omit<RunningNode, "close">> {
  const { isInMemory, logger, registry, settings } = parts;
  const disk: Disk = isInMemory ? new MemoryDisk() : new FileDisk();
  const ports = { disk, clock: systemClock, timers: systemTimers, random: systemRandom, logger };
  const { release, storage } = openNodeStorage(settings, ports);
  closers.push(release);
  const incarnationId = newIncarnationId(ports.random);
  const network = new TcpNetwork(tcpLimitsFrom(settings));
  const directoryIds = storage.directories.map(({ directoryId }) => directoryId);
  const controllerConfig = brokerConfigFrom(settings, directoryIds, "controllers");
  const controllerServer = new ControllerServer({ ...ports, config: controllerConfig, network, meter: registry });
  closers.push(() => controllerServer.close());
  await bindControllers(controllerServer, settings);
  const started = await MetadataNode.start({
    ...ports,
    settings,
    storage,
    incarnationId,
    log: openMetadataLog(settings, storage, ports),
    controllerEndpoints: registeredEndpoints(controllerServer.endpoints(), settings),
    onFailure: parts.onFailure,
  });
  if (started.kind === "refused") throw new StartRefused("directory-foreign", started.message, "");
  const metadata = started.node;
  closers.push(() => metadata.close());
  controllerServer.open({
    ...{ metadata, timers: ports.timers },
    config: controllerConfig,
    clusterId: storage.clusterId,
    cluster: metadata,
    controllerChannel: metadata.channel,
    authorizer: allowAll,
    quorum: metadata.quorum,
  });
  closers.push(() => controllerServer.close());
  const onOffline: ((directory: string) => void)[] = [];
  const logManager = await openLogs(parts, ports, metadata, (directory) => {
    for (const work of onOffline) work(directory);
  });
  closers.push(() => logManager.close({ brokerEpoch: metadata.brokerEpoch }));
  showLogMetrics(logManager, registry);
  const broker = new Broker({
    ...ports,
    config: brokerConfigFrom(settings, directoryIds),
    clusterId: storage.clusterId,
    incarnationId,
    metadata,
    cluster: metadata,
    logManager,
    controllerChannel: metadata.channel,
    network,
    meter: registry,
  });
  closers.push(() => broker.stop());
  onOffline.push((directory) => {
    const count = takeDirectoryOffline(broker.parts.partitions, directory);
    logger.error({ directory, count }, `${count} partitions are offline with their directory`);
  });
  await startListeners(broker, settings);
  await metadata.register({
    endpoints: registeredEndpoints(broker.endpoints(), settings),
    previousBrokerEpoch: Math.min(...logManager.directories.map((directory) => directory.previousBrokerEpoch)),
  });
  closers.push(() => metadata.leave());
  await metadata.unfence();
  logManager.startTimers();
  const { host, port } = boundAddress(broker, settings);
  const { port: controllerPort } = controllerServer;
  return { host, port, controllerPort, bootstrap: formatHostAndPort(host, port), clusterId: storage.clusterId };
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
  onOffline: (directory: string) => void,
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
      onOffline(directory);
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
