// npm run bench [-- MEASURE…] [--against kafka] [--rounds N] [--gigabytes N] [--quick] [--json]
// Speed is shown here and never asserted in a test: machines are shared, and only ratios of one run mean something.
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { brokerMeasures, measuredOnce } from "./broker-measures.ts";
import { clusterRows } from "./cluster-measures.ts";
import { coordinatorMeasures, coordinatorProperties, coordinatorsMeasuredOnce } from "./coordinator-measures.ts";
import { logFigures, makeSegments, measureLog } from "./log-measures.ts";
import { judge, type Measure, type Row } from "./measure.ts";
import { settlePageCache } from "./page-cache.ts";
import { measureStart, startFigures } from "./start-measures.ts";
import { type Subject, type SubjectName, startSubject } from "./subject.ts";

const usage = `npm run bench -- [MEASURE…] [options]
  MEASURE           start produce-64k produce-16k produce-single fetch latency memory partitions (all of these by default),
                    idle-groups offset-commit rebalance-classic rebalance-consumer transactions share-group load-offsets
                    (coordinators: all of these), cluster (three nodes),
                    log: compaction, recovery, a start with many partitions, group commit
  --against kafka   run the same work on Apache Kafka (fetched with Maven) and print the ratios
  --rounds N        rounds of each measure, in turn on each side; the median counts (default 3)
  --gigabytes N     size of one produce round (default 1)
  --quick           one short round: does it run, not how fast
  --broker COMMAND  start our broker by this command line, {props} being its properties file
  --json            rows for a program`;

function format(value: number | undefined): string {
  if (value === undefined) return "";
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const promise: string[] = [];
    if (row.figure.ratio !== undefined)
      promise.push(`${row.figure.better === "higher" ? "≥" : "≤"} ${row.figure.ratio} ×`);
    if (row.figure.bound !== undefined) promise.push(`≤ ${row.figure.bound} ${row.figure.unit}`.trim());
    return [
      row.measure,
      row.figure.name,
      row.figure.unit,
      format(row.values.blumfeld),
      format(row.values.kafka),
      row.ratio === null ? "" : row.ratio.toFixed(2),
      promise.join(", "),
      row.met === null ? "" : row.met ? "met" : "MISSED",
    ];
  });
  const all = [["measure", "figure", "unit", "blumfeld", "kafka", "ratio", "promised", ""], ...lines];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const numeric = new Set([3, 4, 5]);
  return all
    .map((line) =>
      line
        .map((cell, column) => (numeric.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Runs one measure on each subject, `rounds` times in turn. */
async function runMeasure(
  measure: Measure,
  subjects: readonly Subject[],
  rounds: number,
  pageCacheBytes: number,
): Promise<Row[]> {
  const samples = measure.figures.map(() => new Map<SubjectName, number[]>(subjects.map((each) => [each.name, []])));
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      await settlePageCache(pageCacheBytes);
      process.stderr.write(`${measure.title}: ${subject.name}, round ${round + 1} of ${rounds}\n`);
      const values = await measure.run(subject);
      for (const [index, value] of values.entries()) samples[index]!.get(subject.name)!.push(value);
    }
  }
  return measure.figures.map((figure, index) => judge(measure.name, figure, samples[index]!));
}

async function logRows(isAgainstKafka: boolean, rounds: number, isQuick: boolean): Promise<Row[]> {
  const sizes = isQuick
    ? { bytes: 100e6, partitions: 1000, commitSeconds: 2 }
    : { bytes: 600e6, partitions: 10_000, commitSeconds: 5 };
  const subjects: SubjectName[] = isAgainstKafka ? ["blumfeld", "kafka"] : ["blumfeld"];
  const samples = logFigures.map(() => new Map<SubjectName, number[]>(subjects.map((name) => [name, []])));
  const segments = await makeSegments(sizes.bytes);
  try {
    for (let round = 0; round < rounds; round++)
      for (const name of subjects) {
        process.stderr.write(`log: ${name}, round ${round + 1} of ${rounds}\n`);
        const values = await measureLog(name, segments, sizes);
        for (const [index, value] of values.entries())
          if (Number.isFinite(value)) samples[index]!.get(name)!.push(value);
      }
  } finally {
    rmSync(dirname(segments), { recursive: true, force: true });
  }
  return logFigures.map((figure, index) => judge("log", figure, samples[index]!));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      against: { type: "string" },
      rounds: { type: "string", default: "3" },
      gigabytes: { type: "string", default: "1" },
      quick: { type: "boolean", default: false },
      broker: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return void process.stdout.write(`${usage}\n`);
  if (values.against !== undefined && values.against !== "kafka")
    throw new Error(`--against ${values.against}: only kafka is known`);
  const rounds = values.quick ? 1 : Number(values.rounds);
  const sizes = {
    bytes: (values.quick ? 0.2 : Number(values.gigabytes)) * 1e9,
    warmUpSeconds: values.quick ? 1 : 6,
    latencySeconds: values.quick ? 3 : 15,
  };
  const coordinatorSizes = values.quick
    ? { seconds: 2, memberCount: 50, groupCount: 500, offsetCount: 20_000, shareRecordCount: 20_000 }
    : { seconds: 6, memberCount: 500, groupCount: 10_000, offsetCount: 1_000_000, shareRecordCount: 400_000 };
  const measures = brokerMeasures(sizes);
  const ofCoordinators = coordinatorMeasures(coordinatorSizes);
  const sets: Record<string, string[]> = { coordinators: ofCoordinators.map((each) => each.name) };
  const byDefault = ["start", ...measures.map((each) => each.name)];
  const names = [...byDefault, ...ofCoordinators.map((each) => each.name), "log", "cluster"];
  const chosen = positionals.length === 0 ? byDefault : positionals.flatMap((name) => sets[name] ?? [name]);
  const unknown = chosen.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`no measure is called ${unknown}; known are ${names.join(", ")}`);
  const wanted = (name: string): boolean => chosen.includes(name);

  const rows: Row[] = [];
  if (wanted("start")) {
    const samples = startFigures.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      process.stderr.write(`start, round ${round + 1} of ${rounds}\n`);
      for (const [index, value] of (await measureStart(values.quick ? 2 : 10)).entries()) samples[index]!.push(value);
    }
    rows.push(...startFigures.map((figure, index) => judge("start", figure, new Map([["blumfeld", samples[index]!]]))));
  }
  if (wanted("cluster")) {
    const clusterSizes = values.quick
      ? { bytes: 50e6, warmUpBytes: 10e6, paceSeconds: 5, kills: 1 }
      : { bytes: 500e6, warmUpBytes: 200e6, paceSeconds: 20, kills: 3 };
    const subjects: SubjectName[] = values.against === "kafka" ? ["blumfeld", "kafka"] : ["blumfeld"];
    rows.push(...(await clusterRows(subjects, rounds, clusterSizes, values.broker)));
  }
  if (wanted("log")) rows.push(...(await logRows(values.against === "kafka", values.quick ? 1 : rounds, values.quick)));
  /** Runs these on subjects of their own; `cacheBytes` is how much of the page cache a round fills. */
  const measureAll = async (
    some: readonly Measure[],
    once: ReadonlySet<string>,
    cacheBytes: number,
    properties: Readonly<Record<string, string | number>>,
  ): Promise<void> => {
    if (some.length === 0) return;
    const subjects: Subject[] = [await startSubject("blumfeld", { properties, command: values.broker })];
    try {
      if (values.against === "kafka") subjects.push(await startSubject("kafka", { properties }));
      for (const measure of some)
        rows.push(...(await runMeasure(measure, subjects, once.has(measure.name) ? 1 : rounds, cacheBytes)));
    } finally {
      for (const subject of subjects) await subject.stop();
    }
  };
  const of = (some: readonly Measure[]): Measure[] => some.filter((each) => wanted(each.name));
  // A measure writes a quarter of its bytes more, to warm up.
  await measureAll(of(measures), measuredOnce, 1.5 * sizes.bytes, {});
  await measureAll(of(ofCoordinators), coordinatorsMeasuredOnce, 0, coordinatorProperties);
  process.stdout.write(values.json ? `${JSON.stringify(rows, null, 2)}\n` : `${table(rows)}\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
