// The three nodes as processes, with a proxy before each listener, and what can be done to them.
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readdirSync, readFileSync, type WriteStream, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { formatStorage } from "@blumfeld/core/controller";
import { FileDisk } from "@blumfeld/host/disk";
import { systemRandom } from "@blumfeld/host/process";
import { type Cut, ListenerProxy } from "./proxy.ts";

export const nodeIds = [1, 2, 3] as const;
const listenerNames = ["CLIENT", "INTERNAL", "CONTROLLER"] as const;
export type ListenerName = (typeof listenerNames)[number];
const clusterId = "Y2hhb3MtaW4tdGhyZWU";
const readyMsMax = 60_000;
const restartDelayMs = 300;

interface NodeProcess {
  readonly id: number;
  readonly directory: string;
  readonly propertiesFile: string;
  readonly proxies: ReadonlyMap<ListenerName, ListenerProxy>;
  readonly log: WriteStream;
  child: ChildProcess | null;
  isReady: boolean;
  isStopped: boolean;
  starts: number;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Nodes {
  private readonly file: string;
  private readonly nodes: readonly NodeProcess[];
  private readonly onLine: (id: number, line: string) => void;

  private constructor(file: string, nodes: readonly NodeProcess[], onLine: (id: number, line: string) => void) {
    this.file = file;
    this.nodes = nodes;
    this.onLine = onLine;
  }

  /** `file`: the bundled node-process. `onLine` hears what a node writes. */
  static async prepare(directory: string, file: string, onLine: (id: number, line: string) => void): Promise<Nodes> {
    const ports = await freePorts(nodeIds.length * listenerNames.length * 2);
    const portOf = (id: number, listener: ListenerName, kind: "real" | "proxy"): number =>
      ports[((id - 1) * listenerNames.length + listenerNames.indexOf(listener)) * 2 + (kind === "real" ? 0 : 1)]!;
    const nodes: NodeProcess[] = [];
    for (const id of nodeIds) {
      const home = join(directory, `node-${id}`);
      mkdirSync(home, { recursive: true });
      const propertiesFile = join(home, "server.properties");
      writeFileSync(propertiesFile, propertiesOf(id, join(home, "data"), portOf));
      const data = join(home, "data");
      formatStorage({
        ...{ disk: new FileDisk(), random: systemRandom, nowMs: Date.now(), nodeId: id, clusterId },
        ...{ logDirectories: [data], metadataDirectory: data, standalone: null },
      });
      const proxies = new Map<ListenerName, ListenerProxy>();
      for (const name of listenerNames)
        proxies.set(name, await ListenerProxy.listen(portOf(id, name, "proxy"), portOf(id, name, "real")));
      const log = createWriteStream(join(home, "node.log"));
      nodes.push({
        ...{ id, directory: data, propertiesFile, proxies, log, child: null },
        ...{ isReady: false, isStopped: true, starts: 0 },
      });
    }
    return new Nodes(file, nodes, onLine);
  }

  get bootstrapServers(): string {
    return this.nodes.map(({ proxies }) => `127.0.0.1:${proxies.get("CLIENT")!.port}`).join(",");
  }

  dataDirectory(id: number): string {
    return this.node(id).directory;
  }

  isUp(id: number): boolean {
    return this.node(id).isReady;
  }

  private node(id: number): NodeProcess {
    const node = this.nodes.find((one) => one.id === id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  async start(): Promise<void> {
    for (const node of this.nodes) {
      node.isStopped = false;
      this.spawn(node);
    }
    await this.untilReady();
  }

  async untilReady(): Promise<void> {
    const untilMs = performance.now() + readyMsMax;
    while (this.nodes.some(({ isReady }) => !isReady)) {
      if (performance.now() > untilMs) {
        const missing = this.nodes.filter(({ isReady }) => !isReady).map(({ id }) => id);
        throw new Error(`nodes ${missing.join(", ")} were not ready within ${readyMsMax / 1000} s`);
      }
      await sleep(50);
    }
  }

  private spawn(node: NodeProcess): void {
    node.starts++;
    const argument = JSON.stringify({ propertiesFile: node.propertiesFile });
    const child = spawn(process.execPath, [this.file, argument], { stdio: ["ignore", "pipe", "pipe"] });
    node.child = child;
    running.add(child);
    let rest = "";
    const take = (chunk: Buffer): void => {
      node.log.write(chunk);
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === "ready") node.isReady = true;
        else this.onLine(node.id, line);
      }
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("close", () => {
      running.delete(child);
      node.isReady = false;
      node.child = null;
      if (node.isStopped) return;
      setTimeout(() => {
        if (!node.isStopped && node.child === null) this.spawn(node);
      }, restartDelayMs).unref();
    });
  }

  /** kill -9; it is started again at once. */
  kill(id: number): void {
    const node = this.node(id);
    node.isReady = false;
    node.child?.kill("SIGKILL");
  }

  pause(id: number): void {
    this.node(id).child?.kill("SIGSTOP");
  }

  resume(id: number): void {
    this.node(id).child?.kill("SIGCONT");
  }

  cutOff(id: number, listeners: readonly ListenerName[], how: Cut): void {
    for (const name of listeners) this.node(id).proxies.get(name)!.cutOff(how);
  }

  restore(id: number): void {
    for (const proxy of this.node(id).proxies.values()) proxy.restore();
  }

  /** As an operator stops a cluster: each hands over what it leads. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.end(node, "SIGTERM")));
  }

  async destroy(): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.end(node, "SIGKILL")));
    for (const { log, proxies } of this.nodes) {
      for (const proxy of proxies.values()) proxy.close();
      log.end();
    }
  }

  private async end(node: NodeProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    node.isStopped = true;
    const { child } = node;
    if (child === null) return;
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.kill("SIGCONT");
    child.kill(signal);
    const isLate = sleep(30_000).then(() => "late" as const);
    if ((await Promise.race([closed, isLate])) === "late") {
      child.kill("SIGKILL");
      await closed;
    }
  }

  /** Every segment of a partition on a node, one after another. */
  segmentBytes(id: number, folder: string): Buffer {
    const path = join(this.dataDirectory(id), folder);
    const names = readdirSync(path)
      .filter((name) => name.endsWith(".log"))
      .sort();
    return Buffer.concat(names.map((name) => readFileSync(join(path, name))));
  }
}

function propertiesOf(
  id: number,
  dataDirectory: string,
  portOf: (id: number, listener: ListenerName, kind: "real" | "proxy") => number,
): string {
  const at = (kind: "real" | "proxy", names: readonly ListenerName[]): string =>
    names.map((name) => `${name}://127.0.0.1:${portOf(id, name, kind)}`).join(",");
  const voters = nodeIds.map((voter) => `${voter}@127.0.0.1:${portOf(voter, "CONTROLLER", "proxy")}`);
  const properties: Record<string, string | number> = {
    "process.roles": "broker,controller",
    "node.id": id,
    listeners: at("real", listenerNames),
    "advertised.listeners": at("proxy", ["CLIENT", "INTERNAL"]),
    "listener.security.protocol.map": listenerNames.map((name) => `${name}:PLAINTEXT`).join(","),
    "inter.broker.listener.name": "INTERNAL",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": voters.join(","),
    "log.dirs": dataDirectory,
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "offsets.topic.num.partitions": 6,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "transaction.state.log.num.partitions": 6,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.session.timeout.ms": 6000,
    "group.consumer.min.heartbeat.interval.ms": 200,
    "group.consumer.heartbeat.interval.ms": 500,
    "replica.lag.time.max.ms": 4000,
    "replica.socket.timeout.ms": 3000,
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    "controller.quorum.election.timeout.ms": 1000,
    "controller.quorum.fetch.timeout.ms": 2000,
    // Everything that is compared at the end stays as it was written.
    "log.cleaner.enable": "false",
    "log.retention.ms": -1,
    "log.segment.bytes": 4_194_304,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
