// Apache Kafka's own test classes, run by the adapter beside this checkout against nodes started by our command; what passes on Kafka
// must pass here.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sharedPath } from "../../shared.ts";
import { cacheDir, projectDir } from "./cache.ts";
import { type Check, judge, type KnownDifference, knownDifferences } from "./checks.ts";
import { run } from "./process.ts";
import type { ClientReport } from "./report.ts";
import type { SessionOptions } from "./session.ts";

interface TestSet {
  readonly name: string;
  /** Of test classes, in the adapter's folder. */
  readonly lists: readonly string[];
  /** Run what puts a node that is only a controller beside the broker on combined nodes: fewer processes. */
  readonly isFolded: boolean;
}

export const kafkaTests: TestSet = { name: "kafka-tests", lists: ["broker.txt", "coordinators.txt"], isFolded: true };
/** Request by request, over nodes that are controllers or brokers only, and several brokers. */
export const kafkaRequestTests: TestSet = { name: "kafka-requests", lists: ["requests.txt"], isFolded: false };
const deadlineMs = 900_000;
/** Classes at a time: most of a test's time is waiting. */
const jobs = 4;
/** For one class, in seconds. */
const classSecondsMax = 600;

type Row = { class: string; test: string; result: string; message?: string };

function report(
  name: string,
  checks: readonly Check[],
  known: readonly KnownDifference[],
  seconds: number,
): ClientReport {
  return { client: name, outcomes: judge(checks, known), seconds };
}

const nameOf = (row: Row): string => `${row.class} ${row.test}`;

function parsed(text: string): Row[] {
  const lines = text.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line) as Row);
}

function listed(file: string): string[] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.map((line) => line.replace(/(^|\s)#.*/, "").trim()).filter((line) => line !== "");
}

/**
 * The classes to run. One that holds a known difference is run by its other methods instead: a test that waits for what will not come
 * takes minutes of all others' time.
 */
function selected(classes: readonly string[], baseline: readonly Row[], known: readonly KnownDifference[]): string[] {
  const methodOf = (test: string): string => test.replace(/#.*/, "");
  return classes.flatMap((each) => {
    const left = new Set(
      known.filter((row) => row.check.startsWith(`${each} `)).map((row) => methodOf(row.check.slice(each.length + 1))),
    );
    if (left.size === 0) return [each];
    const methods = new Set(baseline.filter((row) => row.class === each).map((row) => methodOf(row.test)));
    return [...methods].filter((method) => !left.has(method)).map((method) => `${each}#${method}`);
  });
}

export async function runKafkaTests(
  target: SessionOptions["target"],
  say: (line: string) => void,
  { isFolded, lists, name }: TestSet = kafkaTests,
): Promise<ClientReport> {
  const folder = sharedPath("tools/kafka-own-tests");
  if (!existsSync(join(folder, "run.py"))) {
    say(`${name}: skipped: the adapter for Kafka's own tests is not at ../shared/tools/kafka-own-tests`);
    return report(name, [], [], 0);
  }
  if (target.kind === "bootstrap") {
    say(`${name}: skipped: these tests start their own nodes, so they need --broker rather than --bootstrap`);
    return report(name, [], [], 0);
  }
  const known = target.kind === "kafka" ? [] : knownDifferences({ name });
  const work = mkdtempSync(join(tmpdir(), "blumfeld-kafka-tests-"));
  const out = join(work, "result.jsonl");
  const names = join(work, "names.txt");
  const baselineFile = join(folder, "baseline.jsonl");
  const baseline = parsed(readFileSync(baselineFile, "utf8"));
  const classes = lists.flatMap((list) => listed(join(folder, list)));
  writeFileSync(names, `${classes.join("\n")}\n`);
  // The nodes start in folders of their own, so the command finds the project's files from its root.
  const start = target.kind === "kafka" ? "kafka" : `env -C '${projectDir}' ${target.command}`;
  const layout = target.kind === "kafka" || !isFolded ? [] : ["--fold"];
  const limits = ["--jobs", `${jobs}`, "--timeout", `${classSecondsMax}`];
  const paths = ["--out", out, "--work", join(work, "nodes")];
  const wanted = ["--classes", ...selected(classes, baseline, known)];
  const args = [join(folder, "run.py"), ...layout, ...limits, "--start", start, ...paths, ...wanted];
  // Python must not write its compiled files into the folder of the adapter.
  const env = { KAFKA_OWN_TESTS: join(cacheDir, "kafka-own-tests"), PYTHONDONTWRITEBYTECODE: "1" };
  try {
    const result = await run("python3", args, { env, deadlineMs, onLine: (line) => say(`${name}: ${line}`) });
    const rows = existsSync(out) ? parsed(readFileSync(out, "utf8")) : [];
    const checks: Check[] = rows
      .filter((row) => row.result === "pass")
      .map((row) => ({ name: nameOf(row), ok: true, why: "" }));
    if (rows.length === 0) checks.push({ name: "run", ok: false, why: result.output.slice(-1500) });
    const compare = [join(folder, "compare.py"), out, baselineFile, "--names", names];
    const compared = await run("python3", compare, { env, deadlineMs });
    for (const row of parsed(compared.output)) {
      checks.push({
        name: nameOf(row),
        ok: false,
        why: `${row.result} here, pass on Apache Kafka: ${row.message ?? ""}`,
      });
    }
    const complete = !result.timedOut && (compared.code === 0 || compared.output.includes("baseline passes:"));
    checks.push({ name: "comparison", ok: complete, why: complete ? "" : compared.output.slice(-500) });
    return report(name, checks, known, result.seconds);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
