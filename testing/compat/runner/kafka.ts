// The real Apache Kafka as a judge: its jars from Maven Central, and a combined broker and controller started from them. Used by the
// compat runs to prove their own programs, and by the benchmark to compare with.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, requireTool } from "./cache.ts";
import { freePort, mustRun, type Service, startService } from "./process.ts";
import { serverProperties, waitForBroker } from "./properties.ts";

export const kafkaVersion = "4.3.0";
const slf4jBindingVersion = "2.24.3";
/** Of every cluster that is formatted here. */
export const clusterId = "4L6g3nShT-eMCtK--X86sw";
const here = dirname(fileURLToPath(import.meta.url));

function pom(artifacts: readonly string[]): string {
  const dependency = (group: string, artifact: string, version: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>',
    "<groupId>blumfeld.compat</groupId><artifactId>kafka-jars</artifactId><version>1</version><dependencies>",
    ...artifacts.map((name) => dependency("org.apache.kafka", name, kafkaVersion)),
    dependency("org.apache.logging.log4j", "log4j-slf4j-impl", slf4jBindingVersion),
    "</dependencies></project>\n",
  ].join("\n");
}

/** The folder of all jars that these artifacts of Kafka need, fetched with Maven into the cache entry `name`, once. */
async function fetchJars(name: string, artifacts: readonly string[]): Promise<string> {
  const recipe = pom(artifacts);
  const dir = await cached(name, recipe, async (target) => {
    await requireTool("mvn", ["--version"], "Maven fetches Kafka's jars (Debian: apt-get install maven)");
    writeFileSync(join(target, "pom.xml"), recipe);
    const goal = ["-q", "-B", "-f", join(target, "pom.xml"), "dependency:copy-dependencies"];
    await mustRun("mvn", [...goal, `-DoutputDirectory=${join(target, "libs")}`]);
  });
  return join(dir, "libs");
}

/** The class path of Kafka Streams, apart from the broker's jars: it brings RocksDB along, which only its own programs need. */
export async function fetchStreamsJars(): Promise<string> {
  return join(await fetchJars(`kafka-streams-${kafkaVersion}`, ["kafka-streams"]), "*");
}

/** `java`, from JAVA_HOME where that is set. */
export function javaCommand(name: "java" | "javac" = "java"): string {
  return process.env.JAVA_HOME === undefined ? name : join(process.env.JAVA_HOME, "bin", name);
}

export type KafkaJars = {
  /** Folder with all jars. */
  readonly dir: string;
  /** For `java -cp`. */
  readonly classPath: string;
  /** `-D` arguments of a broker's JVM: warnings and errors of Kafka's own logging go to standard error. */
  readonly logArguments: readonly string[];
  /** The same for clients and tools: errors only. */
  readonly clientLogArguments: readonly string[];
};

/** Fetches Kafka's jars (broker, tools, shell, logging) with Maven into the cache, once. */
export async function fetchKafkaJars(): Promise<KafkaJars> {
  await requireTool(
    javaCommand(),
    ["-version"],
    "Java 17 or newer is needed (Debian: apt-get install openjdk-17-jdk-headless)",
  );
  const libs = await fetchJars(`kafka-${kafkaVersion}`, ["kafka_2.13", "kafka-tools", "kafka-shell"]);
  return {
    dir: libs,
    classPath: join(libs, "*"),
    logArguments: [`-Dlog4j2.configurationFile=${join(here, "log4j2.properties")}`],
    clientLogArguments: [`-Dlog4j2.configurationFile=${join(here, "log4j2-client.properties")}`],
  };
}

export type KafkaOptions = {
  /** JVM heap, as in `-Xmx`; default 700m. Also the initial heap when `heapFixed`. */
  heap?: string;
  heapFixed?: boolean;
  /** Further JVM arguments, such as a collector. */
  jvmArguments?: readonly string[];
  /** Keys of server.properties over the runner's own (see properties.ts). */
  properties?: Readonly<Record<string, string | number>>;
  /** Port of the PLAINTEXT listener; default a free one. */
  port?: number;
  /** Default a new folder under the system's temporary folder, removed by `stop`. */
  dataDir?: string;
};

export type RunningBroker = {
  /** `127.0.0.1:port` */
  readonly bootstrap: string;
  readonly dataDir: string;
  readonly pid: number;
  /** The exit code once the process has ended. */
  exitCode(): number | undefined;
  /** What the process printed. */
  log(): string;
  /** The properties file it was started with. */
  readonly propertiesFile: string;
  /** Ends it with SIGTERM and removes a temporary folder. Ends it the hard way after `graceMs`, and says so. */
  stop(graceMs?: number): Promise<{ code: number; killed: boolean }>;
  /** Ends it cleanly but leaves its data directory for a tool to read, or for `start` with the same `dataDir`. */
  halt(graceMs?: number): Promise<{ code: number; killed: boolean }>;
  /** Removes a temporary folder after `halt`. */
  remove(): void;
};

/** A broker process made into a `RunningBroker`; waits until it answers ApiVersions. */
export async function runningBroker(
  parts: { service: Service; port: number; dataDir: string; workDir: string; propertiesFile: string; logFile: string },
  readyMsMax: number,
): Promise<RunningBroker> {
  const { service, port, dataDir, workDir, propertiesFile, logFile } = parts;
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");
  const remove = (): void => rmSync(workDir, { recursive: true, force: true });
  try {
    await waitForBroker(port, readyMsMax, () => service.exitCode());
  } catch (error) {
    await service.kill();
    const text = `${error instanceof Error ? error.message : error}\n${log().slice(-4000)}`;
    remove();
    throw new Error(text);
  }
  return {
    bootstrap: `127.0.0.1:${port}`,
    dataDir,
    pid: service.pid,
    exitCode: () => service.exitCode(),
    log,
    propertiesFile,
    remove,
    halt: (graceMs) => service.stop(graceMs),
    async stop(graceMs) {
      const result = await service.stop(graceMs);
      remove();
      return result;
    },
  };
}

/** Formats (an empty data directory) and starts one combined Apache Kafka node; resolves when it answers. */
export async function startKafka(options: KafkaOptions = {}): Promise<RunningBroker> {
  const jars = await fetchKafkaJars();
  const workDir = mkdtempSync(join(tmpdir(), "blumfeld-kafka-"));
  const dataDir = options.dataDir ?? join(workDir, "data");
  const port = options.port ?? (await freePort());
  const propertiesFile = join(workDir, "server.properties");
  mkdirSync(dataDir, { recursive: true });
  const text = serverProperties({ port, controllerPort: await freePort(), dataDir, properties: options.properties });
  writeFileSync(propertiesFile, text);
  const java = javaCommand();
  const common = [...jars.logArguments, "-cp", jars.classPath];
  if (!existsSync(join(dataDir, "meta.properties"))) {
    const format = ["kafka.tools.StorageTool", "format", "-t", clusterId, "-c", propertiesFile];
    await mustRun(java, ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", ...common, ...format]);
  }
  const heap = options.heap ?? "700m";
  const heapArguments = [`-Xmx${heap}`, ...(options.heapFixed === true ? [`-Xms${heap}`] : [])];
  const logFile = join(workDir, "kafka.log");
  const jvmArguments = [...heapArguments, ...(options.jvmArguments ?? []), ...common];
  const service = startService(java, [...jvmArguments, "kafka.Kafka", propertiesFile], { cwd: workDir, logFile });
  return runningBroker({ service, port, dataDir, workDir, propertiesFile, logFile }, 90_000);
}
