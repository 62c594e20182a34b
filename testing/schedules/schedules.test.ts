// Each kind of schedule some thousand times; `npm run schedules` runs them by the hundred thousand.
import { describe, test } from "vitest";
import { runSchedules, suites, testScheduleCount } from "./suites.ts";

for (const suite of suites) {
  describe(`${suite.name}: ${suite.what}`, () => {
    for (const [kind, schedule] of Object.entries(suite.schedules)) {
      test(`${kind}, ${testScheduleCount} schedules`, async () => {
        await runSchedules(schedule, { name: `${suite.name} ${kind}`, count: testScheduleCount, seed: 1 });
      }, 120_000);
    }
  });
}
