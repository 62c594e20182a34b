// Three nodes of ours, or of Apache Kafka, as one cluster on this machine: combined nodes, static voters, the same settings on both sides.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatStorage } from "@blumfeld/core/controller";
import { FileDisk } from "@blumfeld/host/disk";
import { systemRandom } from "@blumfeld/host/process";
import { ourCommand } from "../compat/runner/broker.ts";
import { projectDir } from "../compat/runner/cache.ts";
import { fetchKafkaJars, javaCommand } from "../compat/runner/kafka.ts";
import { freePort, type Service, startService } from "../compat/runner/process.ts";
import { waitForBroker } from "../compat/runner/properties.ts";
import type { SubjectName } from "./subject.ts";

const nodeIds = [1, 2, 3];
const clusterId = "YmVuY2gtaW4tdGhyZWU";
const readyMsMax = 120_000;

interface BenchNode {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly propertiesFile: string;
  readonly logFile: string;
  service: Service;
}

export class BenchCluster {
  readonly name: SubjectName;
  private readonly directory: string;
  private readonly nodes: BenchNode[];

  private constructor(name: SubjectName, directory: string, nodes: BenchNode[]) {
    this.name = name;
    this.directory = directory;
    this.nodes = nodes;
  }

  static async start(name: SubjectName, command: string | undefined): Promise<BenchCluster> {
    const directory = mkdtempSync(join(tmpdir(), "blumfeld-bench-cluster-"));
    const places: Omit<BenchNode, "service">[] = [];
    for (const id of nodeIds) {
      const home = join(directory, `node-${id}`);
      mkdirSync(home);
      places.push({
        ...{ id, port: await freePort(), controllerPort: await freePort() },
        propertiesFile: join(home, "server.properties"),
        logFile: join(home, "node.log"),
      });
    }
    const voters = places.map(({ controllerPort, id }) => `${id}@127.0.0.1:${controllerPort}`).join(",");
    for (const place of places) {
      const data = join(directory, `node-${place.id}`, "data");
      writeFileSync(place.propertiesFile, propertiesOf(place, data, voters));
      formatStorage({
        ...{ disk: new FileDisk(), random: systemRandom, nowMs: Date.now(), nodeId: place.id, clusterId },
        ...{ logDirectories: [data], metadataDirectory: data, standalone: null },
      });
    }
    const line = await startLine(name, command);
    const nodes = places.map((place) => ({ ...place, service: startNode(place, line) }));
    const cluster = new BenchCluster(name, directory, nodes);
    try {
      await Promise.all(nodes.map(({ port, service }) => waitForBroker(port, readyMsMax, () => service.exitCode())));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get bootstrapServers(): string {
    return this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",");
  }

  get pids(): number[] {
    return this.nodes.map(({ service }) => service.pid);
  }

  /** kill -9, and the node again. */
  async killAndRestart(id: number, line: string): Promise<void> {
    const node = this.nodes.find((one) => one.id === id)!;
    await node.service.kill();
    node.service = startNode(node, line);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ service }) => service.stop(30_000)));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function startNode({ logFile, propertiesFile }: Omit<BenchNode, "service">, line: string): Service {
  const command = line.replaceAll("{props}", `'${propertiesFile}'`);
  return startService("bash", ["-c", `exec ${command}`], { cwd: projectDir, logFile });
}

/** Of one node, with `{props}` for its settings. */
export async function startLine(name: SubjectName, command: string | undefined): Promise<string> {
  if (name === "blumfeld") return command ?? ourCommand;
  const { classPath, logArguments } = await fetchKafkaJars();
  return [
    javaCommand(),
    "-Xms400m",
    "-Xmx400m",
    ...logArguments,
    "-cp",
    `'${classPath}'`,
    "kafka.Kafka",
    "{props}",
  ].join(" ");
}

function propertiesOf(
  { controllerPort, id, port }: Omit<BenchNode, "service">,
  dataDirectory: string,
  voters: string,
): string {
  const properties: Record<string, string | number> = {
    "process.roles": "broker,controller",
    "node.id": id,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": voters,
    "log.dirs": dataDirectory,
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "log.retention.ms": -1,
    "log.segment.delete.delay.ms": 100,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}
