// Compiles Java programs of the compat folder against Kafka's jars, once for each state of their sources.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cached, compatDir, requireTool } from "./cache.ts";
import type { Program } from "./client.ts";
import { fetchKafkaJars, fetchStreamsJars, javaCommand, kafkaVersion } from "./kafka.ts";
import { mustRun } from "./process.ts";

/** The program `mainClass` of the given folders under testing/compat; the first names its cache entry. `streams`: with Kafka Streams. */
export async function javaProgram(
  folders: readonly string[],
  mainClass: string,
  options: { streams?: boolean } = {},
): Promise<Program> {
  const kafkaJars = await fetchKafkaJars();
  const streams = options.streams === true ? `${await fetchStreamsJars()}:` : "";
  const jars = { ...kafkaJars, classPath: `${streams}${kafkaJars.classPath}` };
  const sources = folders.flatMap((folder) => {
    const dir = join(compatDir, folder);
    const names = readdirSync(dir).filter((name) => name.endsWith(".java"));
    return names.sort().map((name) => join(dir, name));
  });
  const hash = createHash("sha256").update(kafkaVersion);
  for (const source of sources) hash.update(readFileSync(source));
  const dir = await cached(`${folders[0]}-classes`, hash.digest("hex"), async (target) => {
    await requireTool(
      javaCommand("javac"),
      ["-version"],
      "a JDK 17 or newer is needed (Debian: apt-get install openjdk-17-jdk-headless)",
    );
    await mustRun(javaCommand("javac"), [
      "-Xlint:-options",
      "-cp",
      jars.classPath,
      "-d",
      join(target, "classes"),
      ...sources,
    ]);
  });
  const jvm = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Xshare:auto"];
  const classPath = `${join(dir, "classes")}:${jars.classPath}`;
  return { command: javaCommand(), args: [...jvm, ...jars.clientLogArguments, "-cp", classPath, mainClass] };
}
