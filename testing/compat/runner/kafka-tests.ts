// Apache Kafka's own test classes, run by the adapter beside this checkout against nodes started by our command; what passes on Kafka
// must pass here.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sharedPath } from "../../shared.ts";
import { cacheDir, projectDir } from "./cache.ts";
import type { Outcome } from "./checks.ts";
import { run } from "./process.ts";
import type { ClientReport } from "./report.ts";
import type { SessionOptions } from "./session.ts";

const name = "kafka-tests";
/** A list of test classes in the adapter's folder. */
const list = "broker.txt";
const deadlineMs = 900_000;

type Row = { class: string; test: string; result: string; message?: string };

function report(outcomes: readonly Omit<Outcome, "known">[], seconds: number): ClientReport {
  return { client: name, outcomes: outcomes.map((outcome) => ({ ...outcome, known: false })), seconds };
}

export async function runKafkaTests(
  target: SessionOptions["target"],
  say: (line: string) => void,
): Promise<ClientReport> {
  const folder = sharedPath("tools/kafka-own-tests");
  if (!existsSync(join(folder, "run.py"))) {
    say(`${name}: skipped: the adapter for Kafka's own tests is not at ../shared/tools/kafka-own-tests`);
    return report([], 0);
  }
  if (target.kind === "bootstrap") {
    say(`${name}: skipped: these tests start their own nodes, so they need --broker rather than --bootstrap`);
    return report([], 0);
  }
  const work = mkdtempSync(join(tmpdir(), "blumfeld-kafka-tests-"));
  const out = join(work, "result.jsonl");
  // The nodes start in folders of their own, so the command finds the project's files from its root.
  const start = target.kind === "kafka" ? "kafka" : `env -C '${projectDir}' ${target.command}`;
  const args = [
    join(folder, "run.py"),
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
    const outcomes: Omit<Outcome, "known">[] = rows(out).map((row) => ({
      name: `ran ${row.class} ${row.test}: ${row.result}`,
      ok: true,
      why: "",
    }));
    if (outcomes.length === 0) outcomes.push({ name: "run", ok: false, why: result.output.slice(-1500) });
    const compared = await run(
      "python3",
      [join(folder, "compare.py"), out, join(folder, "baseline.jsonl"), "--names", join(folder, list)],
      { env, deadlineMs },
    );
    const same = compared.code === 0 && !result.timedOut;
    outcomes.push({
      name: "everything that passes on Kafka passes here",
      ok: same,
      why: same ? "" : compared.output.trim().replaceAll("\n", "; "),
    });
    return report(outcomes, result.seconds);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function rows(file: string): Row[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Row);
}
