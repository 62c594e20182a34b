// A few losses of power; `npm run crash` takes more, and kills real processes.
import { expect, test } from "vitest";
import { runPowerLosses } from "./power-loss.ts";

test("with group commit nothing acknowledged is lost with the power", async () => {
  const { acknowledged, lost, syncs } = await runPowerLosses({ losses: 12, seed: 5, isGroupCommit: true });
  expect(lost).toEqual([]);
  expect(acknowledged).toBeGreaterThan(100);
  expect(syncs).toBeLessThan(acknowledged);
});

test("without it the same losses cost acknowledged records, as in Kafka with one replica", async () => {
  const { lost } = await runPowerLosses({ losses: 12, seed: 5, isGroupCommit: false });
  expect(lost.length).toBeGreaterThan(0);
});
