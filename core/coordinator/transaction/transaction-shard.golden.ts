// Transactional ids as Apache Kafka's log gives them: replaying `__transaction_state` of its data directories makes what its admin client saw, and
// what is written again are the same bytes.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { unpack } from "../../../testing/data-dirs/untar.ts";
import { missingShared, sharedPath } from "../../../testing/shared.ts";
import { iterateBatches, iterateRecords } from "../../model/index.ts";
import { TestTransactions } from "./fixture/test-transactions.ts";

interface Expected {
  readonly state: string;
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly timeoutMs: number;
  readonly startTime: string;
  readonly partitions: readonly string[];
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function segmentsOf(archive: string): Buffer[][] {
  const folder = mkdtempSync(join(tmpdir(), "blumfeld-transactions-"));
  folders.push(folder);
  unpack(sharedPath(`protocol/data-dirs/${archive}.tar.gz`), folder);
  const data = join(folder, "data");
  return readdirSync(data)
    .filter((name) => name.startsWith("__transaction_state-"))
    .map((name) => {
      const segments = readdirSync(join(data, name)).filter((file) => file.endsWith(".log"));
      return segments.sort().map((segment) => readFileSync(join(data, name, segment)));
    });
}

describe.skipIf(missingShared).each(["data-clean", "data-killed"])("the transactions of %s", (archive) => {
  it("are what Kafka's admin client saw", () => {
    const text = readFileSync(sharedPath(`protocol/data-dirs/${archive}.expected.json`), "utf8");
    const { clients } = JSON.parse(text) as { clients: { transactions: Record<string, Expected> } };
    const found: Record<string, Expected> = {};
    for (const segments of segmentsOf(archive)) {
      const test = new TestTransactions();
      test.runtime.startLoading();
      for (const segment of segments) test.loadBatches(segment);
      test.runtime.finishLoading(0);
      expect(test.runtime.skippedCount).toBe(0);
      for (const one of test.shard.transactions) {
        found[one.transactionalId] = {
          state: one.state,
          producerId: String(one.producerId),
          producerEpoch: one.producerEpoch,
          timeoutMs: one.timeoutMs,
          startTime: String(one.startMs),
          partitions: [...one.partitions]
            .flatMap(([topic, indexes]) => indexes.map((index) => `${topic}-${index}`))
            .sort(),
        };
      }
    }
    expect(Object.keys(found).length).toBeGreaterThan(2);
    expect(found).toEqual(clients.transactions);
  });

  it("are written as Kafka wrote them", () => {
    const { shard } = new TestTransactions();
    let count = 0;
    for (const bytes of segmentsOf(archive).flat()) {
      for (const batch of iterateBatches(bytes)) {
        for (const { key, value } of iterateRecords(batch)) {
          const entry = shard.decode(key!, value)!;
          const again = shard.encode(entry);
          expect(again.key.toString("hex")).toBe(key!.toString("hex"));
          expect(again.value?.toString("hex")).toBe(value?.toString("hex"));
          count++;
        }
      }
    }
    expect(count).toBeGreaterThan(10);
  });
});
