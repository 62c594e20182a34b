// npm run bench [-- MEASURE…] [--against kafka] [--rounds N] [--gigabytes N] [--quick] [--json]
// Speed is shown here and never asserted in a test: machines are shared, and only ratios of one run mean something.
import { parseArgs } from "node:util";
import { brokerMeasures, measuredOnce } from "./broker-measures.ts";
import { judge, type Measure, type Row } from "./measure.ts";
import { settlePageCache } from "./page-cache.ts";
import { measureStart, startFigures } from "./start-measures.ts";
import { type Subject, type SubjectName, startSubject } from "./subject.ts";

const usage = `npm run bench -- [MEASURE…] [options]
  MEASURE           start produce-64k produce-16k produce-single fetch latency memory partitions (all by default)
  --against kafka   run the same work on Apache Kafka (fetched with Maven) and print the ratios
  --rounds N        rounds of each measure, in turn on each side; the median counts (default 3)
  --gigabytes N     size of one produce round (default 1)
  --quick           one short round: does it run, not how fast
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

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      against: { type: "string" },
      rounds: { type: "string", default: "3" },
      gigabytes: { type: "string", default: "1" },
      quick: { type: "boolean", default: false },
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
  const measures = brokerMeasures(sizes);
  const names = ["start", ...measures.map((each) => each.name)];
  const unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`no measure is called ${unknown}; known are ${names.join(", ")}`);
  const wanted = (name: string): boolean => positionals.length === 0 || positionals.includes(name);

  const rows: Row[] = [];
  if (wanted("start")) {
    const samples = startFigures.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      process.stderr.write(`start, round ${round + 1} of ${rounds}\n`);
      for (const [index, value] of (await measureStart(values.quick ? 2 : 10)).entries()) samples[index]!.push(value);
    }
    rows.push(...startFigures.map((figure, index) => judge("start", figure, new Map([["blumfeld", samples[index]!]]))));
  }
  const broker = measures.filter((each) => wanted(each.name));
  if (broker.length > 0) {
    const subjects: Subject[] = [await startSubject("blumfeld")];
    try {
      if (values.against === "kafka") subjects.push(await startSubject("kafka"));
      for (const measure of broker)
        rows.push(
          // A measure writes a quarter of its bytes more, to warm up.
          ...(await runMeasure(measure, subjects, measuredOnce.has(measure.name) ? 1 : rounds, 1.5 * sizes.bytes)),
        );
    } finally {
      for (const subject of subjects) await subject.broker.stop();
    }
  }
  process.stdout.write(values.json ? `${JSON.stringify(rows, null, 2)}\n` : `${table(rows)}\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
