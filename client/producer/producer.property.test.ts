// Whatever the network and the leaders do: each record that was confirmed is in the log once, and each partition's records are in the order in
// which they were sent. The cluster of the test is a slow model that checks every sequence number itself.

import { seededRandom } from "@blumfeld/core/base";
import { ApiKey } from "@blumfeld/core/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ModelCluster } from "../test-double/model-cluster.ts";
import { Producer } from "./producer.ts";

interface Plan {
  readonly seed: number;
  readonly records: number;
  readonly faultShare: number;
  readonly batchBytes: number;
  readonly lingerMs: number;
  readonly inFlight: number;
  readonly bufferBytes: number;
}

async function run(plan: Plan): Promise<void> {
  const random = seededRandom(plan.seed);
  const cluster = new ModelCluster(3);
  cluster.createTopic("t", 3);
  cluster.givesLeaderHints = random.below(2) === 0;
  const producer = new Producer({
    bootstrapServers: cluster.bootstrapServers,
    ports: { ...cluster.ports, random },
    batchBytes: plan.batchBytes,
    lingerMs: plan.lingerMs,
    inFlightRequestsMax: plan.inFlight,
    bufferBytes: plan.bufferBytes,
    requestTimeoutMs: 1000,
    deliveryTimeoutMs: 100_000_000,
    blockMsMax: 100_000_000,
  });
  let faultsLeft = 40;
  cluster.fault = (request) => {
    if (faultsLeft === 0 || random.fraction() >= plan.faultShare) return undefined;
    faultsLeft--;
    switch (random.below(6)) {
      case 0:
        return "close";
      case 1:
        return "lose-answer";
      case 2:
        return "silence";
      case 3:
        cluster.moveLeader("t", random.below(3), cluster.nodeIds[random.below(3)]!);
        return undefined;
      case 4:
        if (request.key === ApiKey.Produce) cluster.topics.get("t")!.partitions[random.below(3)]!.leader = -1;
        cluster.time.after(500, () => {
          cluster.topics.get("t")!.partitions.forEach((partition, index) => {
            if (partition.leader < 0) cluster.moveLeader("t", index, cluster.nodeIds[random.below(3)]!);
          });
        });
        return undefined;
      default:
        return "lose-answer";
    }
  };
  const sent: string[][] = [[], [], []];
  const all: Promise<unknown>[] = [];
  for (let index = 0; index < plan.records; index++) {
    const partition = random.below(3);
    const value = `${partition}:${index}`;
    sent[partition]!.push(value);
    const record = { topic: "t", partition, value };
    if (random.below(4) === 0) {
      const more = `${value}+`;
      sent[partition]!.push(more);
      all.push(producer.send([record, { ...record, value: more }]));
    } else all.push(producer.send(record));
    if (random.below(10) === 0) await cluster.time.advance(random.below(30));
  }
  const outcomes = await cluster.time.until(Promise.allSettled(all), 3_600_000);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  for (const partition of [0, 1, 2]) expect(cluster.valuesOf("t", partition)).toEqual(sent[partition]);
  expect(producer.bufferedBytes).toBe(0);
  await cluster.time.until(producer.close());
  expect(cluster.network.openCount).toBe(0);
}

test("no loss, no repeat, no disorder under faults", { timeout: 120_000 }, async () => {
  const plan = fc.record({
    seed: fc.integer({ min: 1, max: 1_000_000 }),
    records: fc.integer({ min: 1, max: 150 }),
    faultShare: fc.constantFrom(0, 0.05, 0.2, 0.5),
    batchBytes: fc.constantFrom(100, 300, 16_384),
    lingerMs: fc.constantFrom(0, 5, 50),
    inFlight: fc.integer({ min: 1, max: 5 }),
    bufferBytes: fc.constantFrom(2000, 1_000_000),
  });
  await fc.assert(fc.asyncProperty(plan, run), { numRuns: 60, endOnFailure: true });
});
