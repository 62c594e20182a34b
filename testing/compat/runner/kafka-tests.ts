// Apache Kafka's own test classes, run by the adapter beside this checkout against nodes started by our command; what passes on Kafka
// must pass here.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sharedPath } from "../../shared.ts";
import { cacheDir, projectDir } from "./cache.ts";
import { type Check, judge, knownDifferences } from "./checks.ts";
import { run } from "./process.ts";
import type { ClientReport } from "./report.ts";
import type { SessionOptions } from "./session.ts";

const name = "kafka-tests";
/** A list of test classes in the adapter's folder. */
const list = "broker.txt";
const deadlineMs = 900_000;

type Row = { class: string; test: string; result: string; message?: string };

function report(checks: readonly Check[], target: SessionOptions["target"], seconds: number): ClientReport {
  const known = target.kind === "kafka" ? [] : knownDifferences({ name });
  return { client: name, outcomes: judge(checks, known), seconds };
}

const nameOf = (row: Row): string => `${row.class} ${row.test}`;

function parsed(text: string): Row[] {
  const lines = text.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line) as Row);
}

export async function runKafkaTests(
  target: SessionOptions["target"],
  say: (line: string) => void,
): Promise<ClientReport> {
  const folder = sharedPath("tools/kafka-own-tests");
  if (!existsSync(join(folder, "run.py"))) {
    say(`${name}: skipped: the adapter for Kafka's own tests is not at ../shared/tools/kafka-own-tests`);
    return report([], target, 0);
  }
  if (target.kind === "bootstrap") {
    say(`${name}: skipped: these tests start their own nodes, so they need --broker rather than --bootstrap`);
    return report([], target, 0);
  }
  const work = mkdtempSync(join(tmpdir(), "blumfeld-kafka-tests-"));
  const out = join(work, "result.jsonl");
  // The nodes start in folders of their own, so the command finds the project's files from its root.
  const start = target.kind === "kafka" ? "kafka" : `env -C '${projectDir}' ${target.command}`;
  // Some of these tests put a node that is only a controller beside the broker; our node is always both.
  const layout = target.kind === "kafka" ? [] : ["--fold"];
  const args = [
    join(folder, "run.py"),
    ...layout,
    "--start",
    start,
    "--classes",
    list,
    "--out",
    out,
    "--work",
    join(work, "nodes"),
  ];
  // Python must not write its compiled files into the folder of the adapter.
  const env = { KAFKA_OWN_TESTS: join(cacheDir, "kafka-own-tests"), PYTHONDONTWRITEBYTECODE: "1" };
  try {
    const result = await run("python3", args, { env, deadlineMs, onLine: (line) => say(`${name}: ${line}`) });
    const rows = existsSync(out) ? parsed(readFileSync(out, "utf8")) : [];
    const checks: Check[] = rows
      .filter((row) => row.result === "pass")
      .map((row) => ({ name: nameOf(row), ok: true, why: "" }));
    if (rows.length === 0) checks.push({ name: "run", ok: false, why: result.output.slice(-1500) });
    const compare = [join(folder, "compare.py"), out, join(folder, "baseline.jsonl"), "--names", join(folder, list)];
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
    return report(checks, target, result.seconds);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
