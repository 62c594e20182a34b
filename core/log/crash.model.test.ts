// Random histories with losses of power. `npm run fuzz -- log` runs thousands; a finding's seed goes into the list below.
import { describe, expect, test } from "vitest";
import { runCrashHistory } from "../../testing/log/crash-run.ts";

describe("a log that loses power", () => {
  test("keeps what was flushed and serves nothing else than what was written", async () => {
    let compactions = 0;
    for (let seed = 1; seed <= 150; seed++) {
      try {
        compactions += (await runCrashHistory(seed)).compactions;
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
    expect(compactions).toBeGreaterThan(100);
  }, 60_000);
});
