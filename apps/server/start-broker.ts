// Starts one node in this process and gives the handle to stop it. What users embed, and what `blum start` does.
import type { Logger } from "@blumfeld/core/base";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { silentLogger } from "./logger.ts";
import { MetricRegistry } from "./meter.ts";
import { startMetricsPage } from "./metrics-page.ts";
import { startNode } from "./node.ts";
import { configureNode, type NodeOptions } from "./options.ts";

export interface StartOptions extends NodeOptions {
  /** Default: says nothing. */
  readonly logger?: Logger;
  /** Serves /metrics and /health there. Default: nowhere. */
  readonly metrics?: { readonly host: string; readonly port: number } | null;
  /** Called while partitions are opened, which takes long after an unclean stop only. */
  readonly onProgress?: (progress: { readonly loaded: number; readonly total: number }) => void;
  /** The node ended by itself: its metadata log or all of its disks failed. It is closing when this is called. */
  readonly onFailure?: (error: unknown) => void;
}

export interface RunningBroker {
  /** `host:port` for clients. */
  readonly bootstrap: string;
  readonly host: string;
  readonly port: number;
  /** Where controllers and `--bootstrap-controller` connect. */
  readonly controllerPort: number;
  readonly nodeId: number;
  readonly clusterId: string;
  /** Null when everything is in memory. */
  readonly dataDirectory: string | null;
  readonly metricsUrl: string | null;
  /** Kafka's settings as they stand; dynamic ones change under it. */
  readonly settings: BrokerSettings;
  /** Prometheus text, as /metrics serves it. */
  metrics(): Promise<string>;
  /** Ends connections, writes everything, leaves the clean-shutdown mark. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Resolves when clients can connect and the node leads its cluster. Rejects with SettingsRefused or StartRefused, which say what to do.
 * @example await using broker = await startBroker({ storage: "memory", port: 0 });
 */
export async function startBroker(options: StartOptions = {}): Promise<RunningBroker> {
  const logger = options.logger ?? silentLogger;
  const { settings, warnings } = configureNode(options);
  for (const warning of warnings) logger.warn({ setting: warning.name }, warning.message);
  const registry = new MetricRegistry();
  const isInMemory = options.storage === "memory";
  const onFailure = (error: unknown): void => {
    logger.error(
      { err: error },
      "the node stops: its metadata or all of its disks failed, and nothing more can be acknowledged",
    );
    options.onFailure?.(error);
    void close();
  };
  const node = await startNode({
    settings,
    isInMemory,
    logger,
    registry,
    onFailure,
    onProgress: options.onProgress,
  });
  const page = options.metrics == null ? null : await startMetricsPage(options.metrics, registry).catch(stopNode);
  async function stopNode(error: unknown): Promise<never> {
    await node.close();
    throw error;
  }
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= Promise.all([page?.close(), node.close()]).then(() => {});
    return closing;
  };
  return {
    bootstrap: node.bootstrap,
    host: node.host,
    port: node.port,
    controllerPort: node.controllerPort,
    nodeId: settings.shape.nodeId,
    clusterId: node.clusterId,
    dataDirectory: isInMemory ? null : settings.shape.logDirectories[0]!,
    metricsUrl: page?.url ?? null,
    settings,
    metrics: () => registry.render(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
