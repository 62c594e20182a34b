// npm run sim -- quorum --seeds 1000 [--from 1] [--jobs 2]     many seeds; the first failures with the command that repeats them
// npm run sim -- cluster --seeds 50                            whole clusters
// npm run sim -- planted [--seeds 300] [--planted NAME]       every planted fault: after how many seeds it was found
// npm run sim -- quorum --seed 42                              one seed, with its whole trace
import { runClusterSeed } from "./cluster/cluster-sim.ts";
import type { PlantedBug } from "./planted/plant.ts";
import { quorumBugs } from "./planted/quorum-bugs.ts";
import { runQuorumSeed } from "./quorum/quorum-sim.ts";

interface SimOptions {
  readonly suite: string;
  readonly seed: number | null;
  readonly seeds: number;
  readonly from: number;
  readonly planted: string | null;
}

function optionsOf(args: readonly string[]): SimOptions {
  const number = (name: string): number | null => {
    const at = args.indexOf(`--${name}`);
    if (at < 0) return null;
    const value = Number(args[at + 1]);
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} needs a number`);
    return value;
  };
  const plantedAt = args.indexOf("--planted");
  return {
    suite: args[0] ?? "quorum",
    seed: number("seed"),
    seeds: number("seeds") ?? 1000,
    from: number("from") ?? 1,
    planted: plantedAt < 0 ? null : (args[plantedAt + 1] ?? "all"),
  };
}

/** So many failures are shown; the run ends then. */
const failuresMax = 3;

/** A suite's seed, run. */
function runSeed(suite: string, seed: number, keepsTrace = false) {
  return suite === "cluster" ? runClusterSeed(seed, keepsTrace) : runQuorumSeed(seed, keepsTrace);
}

const progressEvery = 1000;

async function runSeeds({ from, seeds, suite }: SimOptions): Promise<number> {
  const beganMs = performance.now();
  let failures = 0;
  let simulatedMs = 0;
  let eventCount = 0;
  let committed = 0;
  let done = 0;
  for (let seed = from; seed < from + seeds && failures < failuresMax; seed++) {
    const result = await runSeed(suite, seed);
    done++;
    if (done % progressEvery === 0) console.log(`${suite}: ${done} seeds so far, ${failures} failed`);
    simulatedMs += result.simulatedMs;
    eventCount += result.eventCount;
    committed += result.committedCount;
    if (result.failure === null) continue;
    failures++;
    console.error(
      `${result.trace}\n\nseed ${seed}: ${result.failure}\nrepeat it: npm run sim -- ${suite} --seed ${seed}\n`,
    );
  }
  const tookMs = performance.now() - beganMs;
  console.log(
    `${suite}: ${done} seeds, ${failures} failed; ${Math.round(simulatedMs / 1000)} s simulated in ${(tookMs / 1000).toFixed(1)} s (${Math.round(simulatedMs / tookMs)} times as fast), ${eventCount} events, ${committed} records acknowledged`,
  );
  return failures;
}

async function runOne(suite: string, seed: number): Promise<number> {
  const result = await runSeed(suite, seed, true);
  console.log(result.trace);
  console.log(`seed ${seed}: hash ${result.hash}, ${result.failure ?? "all held"}`);
  return result.failure === null ? 0 : 1;
}

/** Of a hundred planted faults so many have to be found. */
const foundPercentMin = 95;
const plantedSeedsDefault = 300;

async function runPlanted({ planted, seeds, from }: SimOptions): Promise<number> {
  const bugs = quorumBugs.filter(({ name }) => planted === null || name === planted);
  let found = 0;
  for (const bug of bugs) {
    const seed = await firstFailure(bug, from, Math.min(seeds, planted === null ? plantedSeedsDefault : seeds));
    if (seed !== null) found++;
    const how =
      seed === null ? "NOT FOUND" : `found by seed ${seed.seed}: ${seed.failure.split("\n")[0]!.slice(0, 110)}`;
    console.log(`${bug.name.padEnd(34)} ${how}`);
  }
  const percent = (100 * found) / bugs.length;
  console.log(`planted: ${found} of ${bugs.length} found (${percent.toFixed(0)} %)`);
  return percent >= foundPercentMin ? 0 : 1;
}

async function firstFailure(
  bug: PlantedBug,
  from: number,
  seeds: number,
): Promise<{ readonly seed: number; readonly failure: string } | null> {
  const takeOut = bug.plant();
  try {
    for (let seed = from; seed < from + seeds; seed++) {
      const { failure } = await runQuorumSeed(seed);
      if (failure !== null) return { seed, failure };
    }
    return null;
  } finally {
    takeOut();
  }
}

async function run(options: SimOptions): Promise<number> {
  if (options.suite === "planted") return runPlanted(options);
  return options.seed === null ? runSeeds(options) : runOne(options.suite, options.seed);
}

process.exitCode = (await run(optionsOf(process.argv.slice(2)))) > 0 ? 1 : 0;
