// One cluster of nodes of two makes: ours and Apache Kafka's, each with the part it is given, over one static set of voters.
import { join } from "node:path";
import { formatStorage } from "@blumfeld/core/controller";
import { FileDisk } from "@blumfeld/host/disk";
import { systemRandom } from "@blumfeld/host/process";
import { startByCommand } from "../runner/broker.ts";
import { clusterId, type RunningBroker, startKafka } from "../runner/kafka.ts";
import { freePort } from "../runner/process.ts";

export type NodePlan = {
  readonly id: number;
  readonly make: "ours" | "kafka";
  readonly roles: "broker" | "controller" | "broker,controller";
};

type Node = NodePlan & {
  readonly port: number;
  readonly controllerPort: number;
  readonly dataDir: string;
  running: RunningBroker | null;
  /** What it printed in the lives that are over. */
  earlierLog: string;
};

const stopMsMax = 40_000;
const jvmArguments = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

const isController = (node: NodePlan): boolean => node.roles.includes("controller");
const isBroker = (node: NodePlan): boolean => node.roles.includes("broker");

export class MixedNodes {
  readonly nodes: readonly Node[];
  readonly #command: string;
  readonly #properties: Readonly<Record<string, string | number>>;

  private constructor(nodes: readonly Node[], command: string, properties: Readonly<Record<string, string | number>>) {
    this.nodes = nodes;
    this.#command = command;
    this.#properties = properties;
  }

  /** `command` starts one of ours and has `{props}` in it; data lies below `directory`. */
  static async prepare(
    plans: readonly NodePlan[],
    command: string,
    directory: string,
    properties: Readonly<Record<string, string | number>>,
  ): Promise<MixedNodes> {
    const nodes: Node[] = [];
    for (const plan of plans) {
      const dataDir = join(directory, `node-${plan.id}`);
      const ports = { port: await freePort(), controllerPort: await freePort() };
      nodes.push({ ...plan, ...ports, dataDir, running: null, earlierLog: "" });
      // Apache Kafka's are formatted by its own tool when they start for the first time.
      if (plan.make === "ours")
        formatStorage({
          ...{ disk: new FileDisk(), random: systemRandom, nowMs: Date.now(), nodeId: plan.id, clusterId },
          ...{ logDirectories: [dataDir], metadataDirectory: dataDir, standalone: null },
        });
    }
    return new MixedNodes(nodes, command, properties);
  }

  get bootstrap(): string {
    return this.nodes
      .filter(isBroker)
      .map(({ port }) => `127.0.0.1:${port}`)
      .join(",");
  }

  get brokerIds(): number[] {
    return this.nodes.filter(isBroker).map(({ id }) => id);
  }

  node(id: number): Node {
    const node = this.nodes.find((one) => one.id === id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  /** Resolves when all of them answer; voters need each other for that, so they start together. */
  async start(ids: readonly number[]): Promise<void> {
    await Promise.all(ids.map((id) => this.#start(this.node(id))));
  }

  async #start(node: Node): Promise<void> {
    const { controllerPort, dataDir, port } = node;
    const broker = isBroker(node) ? [`PLAINTEXT://127.0.0.1:${port}`] : [];
    const controller = isController(node) ? [`CONTROLLER://127.0.0.1:${controllerPort}`] : [];
    const voters = this.nodes.filter(isController).map((one) => `${one.id}@127.0.0.1:${one.controllerPort}`);
    const properties = {
      ...{ "process.roles": node.roles, "node.id": node.id, "controller.quorum.voters": voters.join(",") },
      ...{ listeners: [...broker, ...controller].join(","), "advertised.listeners": broker.join(",") },
      ...this.#properties,
    };
    const options = { dataDir, port: isBroker(node) ? port : controllerPort, properties };
    node.running =
      node.make === "ours"
        ? await startByCommand(this.#command, options)
        : await startKafka({ ...options, heap: "384m", jvmArguments });
  }

  /** By SIGTERM: a broker hands over what it leads. An empty string, or what was wrong with its end. */
  async stop(id: number): Promise<string> {
    const node = this.node(id);
    if (node.running === null) return "";
    const { code, killed } = await node.running.halt(stopMsMax);
    this.#forget(node);
    if (killed) return `node ${id} still ran ${stopMsMax / 1000} s after SIGTERM`;
    return code === 0 || code === 143 ? "" : `node ${id}: exit code ${code}`;
  }

  async kill(id: number): Promise<void> {
    const node = this.node(id);
    await node.running?.halt(0);
    this.#forget(node);
  }

  /** Brokers first, so that each still has a controller that lets it go. */
  async stopAll(): Promise<string[]> {
    const wrong: string[] = [];
    for (const wanted of [false, true]) {
      const ids = this.nodes.filter((node) => isController(node) === wanted).map(({ id }) => id);
      wrong.push(...(await Promise.all(ids.map((id) => this.stop(id)))));
    }
    return wrong.filter((text) => text !== "");
  }

  /** Nodes that ended by themselves. */
  ended(): string[] {
    return this.nodes
      .filter(({ running }) => running !== null && running.exitCode() !== undefined)
      .map(({ id, make, running }) => `node ${id} (${make}) ended with exit code ${running?.exitCode()}`);
  }

  log(id: number): string {
    const { earlierLog, running } = this.node(id);
    return earlierLog + (running?.log() ?? "");
  }

  #forget(node: Node): void {
    node.earlierLog += node.running?.log() ?? "";
    node.running?.remove();
    node.running = null;
  }
}
