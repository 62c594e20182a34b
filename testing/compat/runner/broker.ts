// The broker under test: ours by its command line, Apache Kafka, or one that already runs.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectDir } from "./cache.ts";
import { type RunningBroker, runningBroker, startKafka } from "./kafka.ts";
import { freePort, startService } from "./process.ts";
import { serverProperties } from "./properties.ts";

export const ourCommand = "node bin/blum start --config {props}";

const runProperties = {
  // Records of the fixture are of 2023: default retention would delete them under the readers.
  "log.retention.ms": -1,
  // A rebalance by the newer group protocols takes heartbeats, which come every 5 s by default; a timed out transaction is looked for every 10 s.
  "group.consumer.min.heartbeat.interval.ms": 300,
  "group.consumer.heartbeat.interval.ms": 300,
  "group.share.min.heartbeat.interval.ms": 300,
  "group.share.heartbeat.interval.ms": 300,
  "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
};

const readyMsMax = 60_000;

/** Starts a broker by a command line with `{props}` in it, run by a shell in the project's root. */
export async function startByCommand(
  command: string,
  options: { dataDir?: string; properties?: Readonly<Record<string, string | number>>; port?: number } = {},
): Promise<RunningBroker> {
  const workDir = mkdtempSync(join(tmpdir(), "blumfeld-compat-"));
  const dataDir = options.dataDir ?? join(workDir, "data");
  mkdirSync(dataDir, { recursive: true });
  const port = options.port ?? (await freePort());
  const propertiesFile = join(workDir, "server.properties");
  writeFileSync(
    propertiesFile,
    serverProperties({ port, controllerPort: await freePort(), dataDir, properties: options.properties }),
  );
  const logFile = join(workDir, "broker.log");
  const line = `exec ${command.replaceAll("{props}", `'${propertiesFile}'`)}`;
  const service = startService("bash", ["-c", line], { cwd: projectDir, logFile });
  return runningBroker({ service, port, dataDir, workDir, propertiesFile, logFile }, readyMsMax);
}

export type Target = { kind: "command"; command: string } | { kind: "kafka" };

export function startTarget(
  target: Target,
  dataDir: string,
  properties: Readonly<Record<string, string | number>> = {},
): Promise<RunningBroker> {
  const options = { dataDir, properties: { ...runProperties, ...properties } };
  if (target.kind === "command") return startByCommand(target.command, options);
  return startKafka({ ...options, jvmArguments: ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] });
}
