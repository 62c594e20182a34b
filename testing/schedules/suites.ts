// The table of suites: random schedules that run in one process, each from a seed alone.
import { classicSchedule, consumerSchedule, migrationSchedule } from "./groups/schedules.ts";
import { streamsSchedule } from "./groups/streams.ts";
import { shareSchedule } from "./share/schedules.ts";
import { transactionSchedule } from "./transactions/schedules.ts";

/** Runs one schedule; throws where something that must hold does not. The same seed does the same, always. */
export type Schedule = (seed: number) => void | Promise<void>;

export interface Suite {
  readonly name: string;
  readonly what: string;
  /** By name, as `--only` takes them. Each runs as often as `--count` says. */
  readonly schedules: Readonly<Record<string, Schedule>>;
}

export const suites: readonly Suite[] = [
  {
    name: "share",
    what: "members of a share group that fetch, acknowledge, stall and leave, and the shard that keeps the state",
    schedules: { records: shareSchedule },
  },
  {
    name: "groups",
    what: "members of classic, consumer and streams groups that join, leave, die, pause and commit",
    schedules: {
      classic: classicSchedule,
      consumer: consumerSchedule,
      migration: migrationSchedule,
      streams: streamsSchedule,
    },
  },
  {
    name: "transactions",
    what: "producers that share transactional ids, zombies among them, with the logs that they write to",
    schedules: {
      v1: transactionSchedule(1),
      v2: transactionSchedule(2),
      "two-phase": transactionSchedule("two-phase"),
      mixed: transactionSchedule("mixed"),
    },
  },
];

/** Schedules of each kind that `npm test` runs. */
export const testScheduleCount = 2000;

/** Runs `count` schedules from `seed` on; a failure names the seed that repeats it. */
export async function runSchedules(
  schedule: Schedule,
  options: { readonly name: string; readonly count: number; readonly seed: number },
  onProgress: (done: number) => void = () => {},
): Promise<void> {
  for (let index = 0; index < options.count; index++) {
    const seed = options.seed + index;
    try {
      await schedule(seed);
    } catch (error) {
      const text = `${options.name} fails with seed ${seed}: ${error instanceof Error ? error.message : String(error)}`;
      throw new Error(text, { cause: error });
    }
    onProgress(index + 1);
  }
}
