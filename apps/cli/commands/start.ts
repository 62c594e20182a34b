// `blum start`: one node in this process, until a signal stops it.
import { relative } from "node:path";
import type { RunningBroker, StartOptions } from "blumfeld";
import { Command } from "commander";
import { supervisedVariable } from "../cluster/supervised.ts";
import { colors } from "../colors.ts";
import { CliFailure } from "../failure.ts";
import { collect, parsePairs } from "../flags.ts";
import { type CliIo, exitCode } from "../io.ts";
import { LoadingBar } from "../loading-bar.ts";
import { version } from "../version.ts";

interface StartFlags {
  readonly config?: string;
  readonly data?: string;
  readonly listen?: string;
  readonly set: readonly string[];
  readonly metrics?: string;
  readonly memory?: boolean;
  readonly brokers?: string;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  readonly json?: boolean;
}

const examples = `
Examples:
  blum start                                   one node, 127.0.0.1:9092, data in ./blumfeld-data
  blum start --listen 0.0.0.0:9092 --set advertised.listeners=PLAINTEXT://broker.example:9092
  blum start --config server.properties        the file that Apache Kafka would read
  blum start --memory --listen 0               nothing is kept; a free port
  blum start --brokers 3                       three brokers, each a process: ports 9092, 9093, 9094
  blum start --set log.retention.hours=24 --metrics :9400

SIGTERM and the first Ctrl+C stop cleanly; the second Ctrl+C stops at once.
Every setting: docs/configuration.md`;

export function createStartCommand(io: CliIo): Command {
  return new Command("start")
    .description("Start a broker here: a single node without a --config, else the node that the file describes.")
    .option("-c, --config <file>", "server.properties, as Apache Kafka reads it")
    .option("-d, --data <directory>", "where the data lies (setting log.dirs; default ./blumfeld-data)")
    .option("-l, --listen <host:port>", "where clients connect; port 0 takes a free one (default 127.0.0.1:9092)")
    .option("-s, --set <name=value>", "any setting by its Kafka name; repeat for more", collect, [])
    .option("-m, --metrics <host:port>", "serve metrics for Prometheus at http://host:port/metrics")
    .option("--memory", "keep everything in memory, nothing on disk")
    .option("--brokers <count>", "a cluster of so many processes on this machine, below one data directory")
    .option("--log-level <level>", "debug, info, warn, error or silent", "warn")
    .option("--json", "the ready line as JSON")
    .addHelpText("after", examples)
    .action((flags: StartFlags) => (flags.brokers === undefined ? start(io, flags) : startNodes(io, flags)));
}

/** A process for each broker, until a signal stops them one after the other. */
async function startNodes(io: CliIo, flags: StartFlags): Promise<void> {
  if (flags.config !== undefined || flags.memory === true || flags.metrics !== undefined)
    throw new CliFailure(
      "--brokers makes nodes of its own on disks",
      "leave --config, --memory and --metrics away; the nodes' files are below --data",
      exitCode.usage,
    );
  const [{ defaultDataDirectory, defaultHost, defaultPort }, { clientAddressOf, localNodes }, { Supervisor }] =
    await Promise.all([import("blumfeld"), import("../cluster/local-nodes.ts"), import("../cluster/supervisor.ts")]);
  const { dataDirectory = defaultDataDirectory, host = defaultHost, port = defaultPort } = await optionsOf(flags);
  const properties = parsePairs("--set", flags.set);
  const brokerCount = Number(flags.brokers);
  const nodes = await localNodes({ brokerCount, dataDirectory, host, port, properties });
  const supervisor = new Supervisor(nodes, { io, logLevel: flags.logLevel });
  let signalCount = 0;
  const stopped = new Promise<void>((resolve, reject) => {
    io.onStopSignal((signal) => {
      signalCount += 1;
      if (signal === "SIGINT" && signalCount > 1) {
        supervisor.killAll();
        io.exit(exitCode.interrupted);
      }
      if (signalCount === 1) supervisor.stop().then(resolve, reject);
    });
  });
  try {
    await supervisor.start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  const bootstrap = nodes.map(({ propertiesFile }) => clientAddressOf(propertiesFile)).join(",");
  const readyMs = Math.round(performance.now());
  if (flags.json === true)
    io.out(`${JSON.stringify({ ready: true, bootstrap, readyMs, brokers: brokerCount, dataDirectory, version })}\n`);
  else
    io.out(
      `${colors.bold("blumfeld")} ${version}: ${brokerCount} brokers ready on ${colors.green(bootstrap)} in ${readyMs} ms (data in ${shortPath(dataDirectory)})\n`,
    );
  await stopped;
}

async function start(io: CliIo, flags: StartFlags): Promise<void> {
  const { createProcessLogger, startBroker } = await import("blumfeld");
  const logger = await createProcessLogger({ level: flags.logLevel, isTerminal: io.isTerminal });
  const options: StartOptions = { ...(await optionsOf(flags)), logger };
  let stopping: Promise<void> | null = null;
  const stopped = new Promise<void>((resolve, reject) => {
    let broker: RunningBroker | null = null;
    const stop = (): void => {
      if (broker === null || stopping !== null) return;
      stopping = broker.close().then(resolve, reject);
    };
    let signalCount = 0;
    const onStop = (signal: "SIGINT" | "SIGTERM"): void => {
      signalCount += 1;
      if (signal === "SIGINT" && signalCount > 1) io.exit(exitCode.interrupted);
      stop();
    };
    io.onStopSignal(onStop);
    // Whoever started this node as one of several is gone.
    if (io.environment[supervisedVariable] === "1") {
      process.stdin.on("end", () => onStop("SIGTERM")).resume();
      // A pipe that nobody closes must not keep a stopped node alive.
      (process.stdin as { unref?: () => void }).unref?.();
    }
    const bar = new LoadingBar(io);
    const onProgress = (progress: { loaded: number; total: number }): void => bar.show(progress);
    startBroker({ ...options, onFailure: reject, onProgress }).then((started) => {
      bar.end();
      broker = started;
      announce(io, flags, started);
      if (signalCount > 0) stop();
    }, reject);
  });
  await stopped;
}

async function optionsOf(flags: StartFlags): Promise<StartOptions> {
  const { parseAddress } = await import("blumfeld");
  const addressOf = (flag: string, text: string): { host: string; port: number } => {
    const address = parseAddress(text);
    if (address === null)
      throw new CliFailure(`${flag} ${text} is not HOST:PORT`, "write it as 127.0.0.1:9092", exitCode.usage);
    return address;
  };
  const listen = flags.listen === undefined ? {} : addressOf("--listen", flags.listen);
  return {
    ...listen,
    storage: flags.memory === true ? "memory" : "file",
    dataDirectory: flags.data,
    propertiesFile: flags.config,
    properties: parsePairs("--set", flags.set),
    metrics: flags.metrics === undefined ? null : addressOf("--metrics", flags.metrics),
  };
}

function announce(io: CliIo, flags: StartFlags, broker: RunningBroker): void {
  const readyMs = Math.round(performance.now());
  const { bootstrap, clusterId, dataDirectory, metricsUrl } = broker;
  if (flags.json === true) {
    io.out(`${JSON.stringify({ ready: true, bootstrap, readyMs, clusterId, dataDirectory, metricsUrl, version })}\n`);
    return;
  }
  const where = dataDirectory === null ? "in memory" : `data in ${shortPath(dataDirectory)}`;
  const metrics = metricsUrl === null ? "" : `, metrics at ${metricsUrl}`;
  io.out(
    `${colors.bold("blumfeld")} ${version} ready on ${colors.green(bootstrap)} in ${readyMs} ms (${where}${metrics})\n`,
  );
}

/** As a person would write it from here. */
function shortPath(path: string): string {
  const near = relative(process.cwd(), path);
  return near === "" ? "." : near.startsWith("..") ? path : near;
}
