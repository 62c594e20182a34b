// npm run schedules -- [suite…] [--only kind] [--count N] [--seed N]
// Random schedules by the thousand. What fails is told with the seed that repeats it: `--seed N --count 1`.
import { parseArgs } from "node:util";
import { runSchedules, type Suite, suites } from "./suites.ts";

const progressEveryMs = 500;

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      count: { type: "string", default: "2000" },
      seed: { type: "string", default: "1" },
      only: { type: "string" },
    },
  });
  const count = Number(values.count);
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed))
    throw new Error(`--count ${values.count} --seed ${values.seed}: whole numbers are wanted`);
  const unknown = positionals.find((name) => !suites.some((suite) => suite.name === name));
  if (unknown !== undefined)
    throw new Error(`no suite ${unknown}; there are ${suites.map(({ name }) => name).join(", ")}`);
  let failureCount = 0;
  for (const suite of suites)
    if (positionals.length === 0 || positionals.includes(suite.name))
      failureCount += await runSuite(suite, { count, seed, only: values.only ?? null });
  process.exitCode = failureCount === 0 ? 0 : 1;
}

async function runSuite(
  suite: Suite,
  options: { readonly count: number; readonly seed: number; readonly only: string | null },
): Promise<number> {
  let failureCount = 0;
  for (const [kind, schedule] of Object.entries(suite.schedules)) {
    if (options.only !== null && options.only !== kind) continue;
    const name = `${suite.name} ${kind}`;
    const startedMs = performance.now();
    let toldMs = startedMs;
    const tell = (done: number): void => {
      if (!process.stderr.isTTY || performance.now() - toldMs < progressEveryMs) return;
      toldMs = performance.now();
      process.stderr.write(`\r${name}: ${done.toLocaleString("en-US")} of ${options.count.toLocaleString("en-US")} `);
    };
    let failure: unknown = null;
    try {
      await runSchedules(schedule, { name, count: options.count, seed: options.seed }, tell);
    } catch (error) {
      failure = error;
      failureCount++;
    }
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    if (process.stderr.isTTY) process.stderr.write("\r");
    const last = options.seed + options.count - 1;
    if (failure === null)
      process.stdout.write(
        `${name}: ${options.count} schedules, seeds ${options.seed} to ${last}, ${seconds} s, nothing found\n`,
      );
    else
      process.stdout.write(
        `${name}: ${failure instanceof Error ? ((failure.cause as Error)?.stack ?? failure.message) : failure}\n${String(failure)}\n`,
      );
  }
  return failureCount;
}

await main();
