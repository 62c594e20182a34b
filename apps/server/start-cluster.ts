// A cluster of several nodes in this process: for tests, and for programs that want replicas without processes.
//
//   await using cluster = await startCluster({ brokers: 3 });
//   await cluster.nodes[0]!.stop();        // others take over what it led
//   await cluster.nodes[0]!.start();
import { join, resolve } from "node:path";
import { type Logger, randomUuid } from "@blumfeld/core/base";
import { parseBrokerSettings } from "@blumfeld/core/model/settings";
import { FileDisk, MemoryDisk } from "@blumfeld/host/disk";
import { systemClock, systemRandom, systemTimers } from "@blumfeld/host/process";
import { TcpNetwork } from "@blumfeld/host/transport";
import { controllerCountOf, type PlannedNode, planCluster } from "./cluster-plan.ts";
import { formatNode } from "./format.ts";
import { freePorts } from "./free-ports.ts";
import { silentLogger } from "./logger.ts";
import { MetricRegistry } from "./meter.ts";
import { type NodePorts, type RunningNode, startNode } from "./node.ts";
import { defaultDataDirectory, defaultHost, SettingsRefused } from "./options.ts";

/** More nodes than this share one thread badly. */
export const clusterBrokersMax = 32;

export interface ClusterOptions {
  /** From 1 to 32; the first three are controllers too. Default 3. */
  readonly brokers?: number;
  /** "memory" keeps nothing after `close`; "file" keeps a directory for each node. Default "memory". */
  readonly storage?: "memory" | "file";
  /** For "file": one directory a node below it. Default `blumfeld-data`. */
  readonly dataDirectory?: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Where the first broker's clients connect, the next at the next port. Default 0: free ones. */
  readonly port?: number;
  /** Kafka's settings, for all nodes. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
  /** Default: says nothing. */
  readonly logger?: Logger;
  /** In place of the machine's, a set for each node, as in a simulation. */
  readonly portsOf?: (nodeId: number) => NodePorts;
}

export interface ClusterNode {
  readonly nodeId: number;
  readonly isController: boolean;
  /** `host:port` for clients; of the last start where it does not run. */
  readonly bootstrap: string;
  readonly isRunning: boolean;
  /** As by SIGTERM: leadership is handed over, then it ends. Idempotent. */
  stop(): Promise<void>;
  /** With what its disk holds. Its clients' port is the one it had. */
  start(): Promise<void>;
}

export interface RunningCluster {
  /** All brokers, for `bootstrap.servers`. */
  readonly bootstrap: string;
  readonly clusterId: string;
  readonly nodes: readonly ClusterNode[];
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Resolves when every broker takes part. Rejects with SettingsRefused, StartRefused or RangeError; nothing is left running then. */
export async function startCluster(options: ClusterOptions = {}): Promise<RunningCluster> {
  const { brokers = 3, host = defaultHost, port = 0, properties = {}, storage = "memory" } = options;
  if (!Number.isInteger(brokers) || brokers < 1 || brokers > clusterBrokersMax)
    throw new RangeError(`brokers=${brokers} is not a whole number from 1 to ${clusterBrokersMax}`);
  const root = storage === "file" ? resolve(options.dataDirectory ?? defaultDataDirectory) : "/memory";
  const portsOf = options.portsOf ?? machinePorts(storage);
  const portsById = new Map(Array.from({ length: brokers }, (_, index) => [index + 1, portsOf(index + 1)]));
  const controllerPorts = await freePorts(portsById.get(1)!.network, host, controllerCountOf(brokers));
  const clientPorts = Array.from({ length: brokers }, (_, index) => (port === 0 ? 0 : port + index));
  const directoryOf = (nodeId: number): string => join(root, `node-${nodeId}`);
  const plan = planCluster({ host, clientPorts, controllerPorts, directoryOf, properties });
  const clusterId = randomUuid(portsById.get(1)!.random);
  const logger = options.logger ?? silentLogger;
  const nodes = plan.map((planned) => new Node(planned, portsById.get(planned.nodeId)!, logger, clusterId));
  const close = async (): Promise<void> => {
    // Brokers alone first: controllers have to hear that they leave.
    for (const node of [...nodes].reverse()) await node.stop();
  };
  const started = await Promise.allSettled(nodes.map((node) => node.start()));
  const failed = started.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) {
    await close();
    throw failed.reason;
  }
  return {
    bootstrap: nodes.map(({ bootstrap }) => bootstrap).join(","),
    clusterId: nodes[0]!.clusterId,
    nodes,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function machinePorts(storage: "memory" | "file"): (nodeId: number) => NodePorts {
  return () => ({
    disk: storage === "memory" ? new MemoryDisk() : new FileDisk(),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    network: new TcpNetwork(),
  });
}

class Node implements ClusterNode {
  readonly nodeId: number;
  readonly isController: boolean;
  bootstrap = "";
  clusterId = "";
  private readonly planned: PlannedNode;
  private readonly ports: NodePorts;
  private readonly logger: Logger;
  private readonly newClusterId: string;
  private running: RunningNode | null = null;
  private changing: Promise<void> = Promise.resolve();

  constructor(planned: PlannedNode, ports: NodePorts, logger: Logger, newClusterId: string) {
    this.planned = planned;
    this.ports = ports;
    this.logger = logger;
    this.newClusterId = newClusterId;
    this.nodeId = planned.nodeId;
    this.isController = planned.isController;
  }

  get isRunning(): boolean {
    return this.running !== null;
  }

  start(): Promise<void> {
    return this.change(() => this.startNow());
  }

  stop(): Promise<void> {
    return this.change(async () => {
      const { running } = this;
      this.running = null;
      await running?.close();
    });
  }

  /** One after the other, whoever asks; a failure is its caller's. */
  private change(work: () => Promise<void>): Promise<void> {
    const changed = this.changing.then(work);
    this.changing = changed.catch(() => {});
    return changed;
  }

  private async startNow(): Promise<void> {
    if (this.running !== null) return;
    const { planned, ports } = this;
    const properties = { ...planned.properties };
    // Clients that know the node look for it where it was.
    if (this.bootstrap !== "")
      properties.listeners = properties.listeners!.replace(/^PLAINTEXT:\/\/[^,]+/, `PLAINTEXT://${this.bootstrap}`);
    const outcome = parseBrokerSettings(properties);
    if (!outcome.ok) throw new SettingsRefused(outcome.problems);
    const { settings } = outcome;
    if (ports.disk.status(`${planned.directory}/meta.properties`) === null)
      formatNode(settings, { ...ports, nowMs: ports.clock.wallMs(), clusterId: this.newClusterId });
    this.running = await startNode({
      settings,
      isInMemory: false,
      logger: this.logger.child({ nodeId: planned.nodeId }),
      registry: new MetricRegistry(),
      ports,
      onFailure: (error) => {
        this.logger.error({ err: error, nodeId: planned.nodeId }, "a node of the cluster failed and stops");
        void this.stop();
      },
    });
    this.bootstrap = this.running.bootstrap;
    this.clusterId = this.running.clusterId;
  }
}
