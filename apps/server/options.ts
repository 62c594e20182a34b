// From what an embedder or the command line asks to the settings of one node. Reads the properties file it is told of, touches nothing else.
import { resolve } from "node:path";
import {
  type BrokerSettings,
  formatHostAndPort,
  type Pair,
  parseBrokerSettings,
  parseHostAndPort,
  parseListener,
  parseProperties,
  type SettingProblem,
} from "@blumfeld/core/model/settings";
import { FileDisk } from "@blumfeld/host/disk";

export interface NodeOptions {
  /** "memory" keeps nothing after `close`; "file" is Kafka's own data directory. Default "file". */
  readonly storage?: "memory" | "file" | undefined;
  /** Default `blumfeld-data` below the working directory. Stands for the setting log.dirs. */
  readonly dataDirectory?: string | undefined;
  /** Where clients connect. Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** 0 takes a free one. Default 9092. */
  readonly port?: number | undefined;
  /** Kafka's settings by name. They win over those of the file. */
  readonly properties?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** A server.properties as Kafka reads it. Without one, this is a single node that needs no other. */
  readonly propertiesFile?: string | undefined;
}

export const defaultPort = 9092;
export const defaultHost = "127.0.0.1";
export const defaultDataDirectory = "blumfeld-data";
/** On a memory disk, which has nothing of the machine's. */
const memoryDirectory = "/memory";

/** What a node is when nobody says otherwise: broker and controller at once, and no topic that waits for a second broker. */
const singleNode: Readonly<Record<string, string>> = {
  "process.roles": "broker,controller",
  "node.id": "1",
  "controller.listener.names": "CONTROLLER",
  "controller.quorum.bootstrap.servers": "127.0.0.1:0",
  "offsets.topic.replication.factor": "1",
  "transaction.state.log.replication.factor": "1",
  "transaction.state.log.min.isr": "1",
  "share.coordinator.state.topic.replication.factor": "1",
  "share.coordinator.state.topic.min.isr": "1",
  "group.initial.rebalance.delay.ms": "0",
};

/** Settings that a node cannot start with. Its message has one line for each. */
export class SettingsRefused extends Error {
  override name = "SettingsRefused";
  /** Each line of the message has its own. */
  readonly nextStep = "";
  readonly problems: readonly SettingProblem[];
  constructor(problems: readonly SettingProblem[]) {
    super(problems.map(({ message }) => message).join("\n"));
    this.problems = problems;
  }
}

export interface NodeConfiguration {
  readonly settings: BrokerSettings;
  readonly warnings: readonly SettingProblem[];
}

/** Throws SettingsRefused, and DiskError for a properties file that cannot be read. */
export function configureNode(options: NodeOptions): NodeConfiguration {
  const pairs = new Map<string, string>();
  if (options.propertiesFile === undefined) {
    for (const [name, value] of Object.entries(singleNode)) pairs.set(name, value);
    const listen = formatHostAndPort(options.host ?? defaultHost, options.port ?? defaultPort);
    pairs.set("listeners", `PLAINTEXT://${listen},CONTROLLER://127.0.0.1:0`);
    pairs.set(
      "log.dirs",
      options.storage === "memory" ? memoryDirectory : resolve(options.dataDirectory ?? defaultDataDirectory),
    );
  } else {
    for (const { name, value } of readPropertiesFile(options.propertiesFile)) pairs.set(name, value);
    if (options.dataDirectory !== undefined) pairs.set("log.dirs", resolve(options.dataDirectory));
    if (options.host !== undefined || options.port !== undefined) moveListener(pairs, options);
  }
  for (const [name, value] of Object.entries(options.properties ?? {})) pairs.set(name, String(value));
  const outcome = parseBrokerSettings(pairs);
  if (!outcome.ok) throw new SettingsRefused(outcome.problems);
  return { settings: outcome.settings, warnings: outcome.warnings };
}

/** A settings file beyond this is no settings file. */
export const propertiesBytesMax = 4 * 1024 * 1024;

/** Throws DiskError. */
export function readPropertiesFile(path: string): Pair[] {
  return parseProperties(new FileDisk().readFile(path, propertiesBytesMax));
}

/** The first listener that is not a controller's takes the host and port asked for. */
function moveListener(pairs: Map<string, string>, options: NodeOptions): void {
  const controllers = (pairs.get("controller.listener.names") ?? "").split(",").map((name) => name.trim());
  const texts = (pairs.get("listeners") ?? "PLAINTEXT://:9092").split(",").map((text) => text.trim());
  const at = texts.findIndex((text) => !controllers.includes(parseListener(text)?.listenerName ?? ""));
  const old = at < 0 ? null : parseListener(texts[at]!);
  if (old === null) return;
  const host = options.host ?? old.host;
  texts[at] = `${old.listenerName}://${formatHostAndPort(host, options.port ?? old.port)}`;
  pairs.set("listeners", texts.join(","));
  pairs.delete("advertised.listeners");
}

/** `HOST:PORT`, `:PORT` or `PORT`, as `--listen` and `--metrics` take it. Null when it is none of these. */
export function parseAddress(text: string, fallbackHost = defaultHost): { host: string; port: number } | null {
  const parsed = parseHostAndPort(/^\d+$/.test(text) ? `:${text}` : text);
  return parsed === null ? null : { host: parsed.host === "" ? fallbackHost : parsed.host, port: parsed.port };
}
