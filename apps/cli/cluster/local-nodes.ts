// The nodes of a cluster on one machine, as they lie on the disk: a folder for each below the data directory, with its server.properties beside its
// data. Planned and formatted at the first start; later starts take what is there.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { randomUuid } from "@blumfeld/core/base";
import { formatProperties, parseProperties } from "@blumfeld/core/model/settings";
import { systemRandom } from "@blumfeld/host/process";
import { TcpNetwork } from "@blumfeld/host/transport";
import { clusterBrokersMax, configureNode, controllerCountOf, formatStorage, freePorts, planCluster } from "blumfeld";
import { CliFailure } from "../failure.ts";
import { exitCode } from "../io.ts";

export interface LocalNode {
  readonly nodeId: number;
  readonly propertiesFile: string;
}

export interface LocalClusterOptions {
  readonly brokerCount: number;
  readonly dataDirectory: string;
  readonly host: string;
  /** Of the first broker; the next has the next. 0: free ones. */
  readonly port: number;
  readonly properties: Readonly<Record<string, string>>;
}

const propertiesName = "server.properties";

/** Throws CliFailure where the directory holds a cluster of another size. */
export async function localNodes(options: LocalClusterOptions): Promise<readonly LocalNode[]> {
  const { brokerCount } = options;
  if (!Number.isInteger(brokerCount) || brokerCount < 1 || brokerCount > clusterBrokersMax)
    throw new CliFailure(
      `--brokers ${brokerCount} is not a whole number from 1 to ${clusterBrokersMax}`,
      "a machine serves best with one broker a core",
      exitCode.usage,
    );
  const root = resolve(options.dataDirectory);
  const fileOf = (nodeId: number): string => join(root, `node-${nodeId}`, propertiesName);
  const present = Array.from({ length: clusterBrokersMax }, (_, index) => fileOf(index + 1)).filter(existsSync).length;
  if (present > 0 && present !== brokerCount)
    throw new CliFailure(
      `${root} holds a cluster of ${present} brokers, not of ${brokerCount}`,
      `start it with --brokers ${present}, or choose another directory with --data`,
      exitCode.usage,
    );
  if (present === 0) await create(options, root, fileOf);
  return Array.from({ length: brokerCount }, (_, index) => ({ nodeId: index + 1, propertiesFile: fileOf(index + 1) }));
}

async function create(options: LocalClusterOptions, root: string, fileOf: (nodeId: number) => string): Promise<void> {
  const { brokerCount, host, port, properties } = options;
  const network = new TcpNetwork();
  const clientPorts =
    port === 0
      ? await freePorts(network, host, brokerCount)
      : Array.from({ length: brokerCount }, (_, index) => port + index);
  const controllerPorts = await freePorts(network, host, controllerCountOf(brokerCount));
  const directoryOf = (nodeId: number): string => join(root, `node-${nodeId}`, "data");
  const clusterId = randomUuid(systemRandom);
  for (const node of planCluster({ host, clientPorts, controllerPorts, directoryOf, properties })) {
    mkdirSync(node.directory, { recursive: true });
    const { settings } = configureNode({ properties: node.properties });
    formatStorage(settings, { clusterId, ignoreFormatted: false });
    // Last: with this file the node is there.
    writeFileSync(fileOf(node.nodeId), formatProperties(Object.entries(node.properties)));
  }
}

/** Where the node's clients connect, by its file. */
export function clientAddressOf(propertiesFile: string): string {
  const pairs = new Map(parseProperties(readFileSync(propertiesFile, "utf8")).map(({ name, value }) => [name, value]));
  return /PLAINTEXT:\/\/([^,]+)/.exec(pairs.get("listeners") ?? "")?.[1] ?? "";
}
