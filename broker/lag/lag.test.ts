// Lag against the slow way: all records of the log, one after another, and the first that a reader would get from the offset.
import { seededRandom } from "@blumfeld/core/base";
import { codecById } from "@blumfeld/core/compression";
import type { Group, GroupShard } from "@blumfeld/core/coordinator";
import type { PartitionLog } from "@blumfeld/core/log";
import { controlKey, endTxnMarkerValue, offsetOf, RecordBatchBuilder } from "@blumfeld/core/model";
import { systemTimers } from "@blumfeld/host/process";
import { afterEach, expect, test } from "vitest";
import { BrokerFixture } from "../fixture/broker-fixture.ts";
import { GroupLags, lagPartitionCountMax } from "./group-lag.ts";
import { nextRecord } from "./next-record.ts";

let fixture: BrokerFixture | null = null;
afterEach(async () => {
  await fixture?.stop();
  fixture = null;
});

const startMs = 1_700_000_000_000;

async function logOf(topic: string): Promise<PartitionLog> {
  fixture = await BrokerFixture.start({ topics: [{ name: topic }] });
  return fixture.broker.parts.partitions.get(topic, 0)!.log!;
}

function append(log: PartitionLog, batch: Buffer, baseOffset: number): void {
  batch.writeBigInt64BE(BigInt(baseOffset), 0);
  const outcome = log.append(batch, { origin: "replication", leaderEpoch: 0, nowMs: startMs });
  expect(outcome.kind).toBe("appended");
  log.writePending();
}

interface Written {
  readonly offset: number;
  readonly timestampMs: number;
}

/** Batches of every kind: packed or not, with gaps as the cleaner leaves them, with one timestamp or many, and markers between. */
function fill(log: PartitionLog, seed: number): Written[] {
  const random = seededRandom(seed);
  const below = (bound: number): number => random.uint32() % bound;
  const records: Written[] = [];
  let offset = 0;
  for (let index = 0; index < 40; index++) {
    const builder = new RecordBatchBuilder();
    if (below(4) === 0) {
      builder.append(startMs + below(1000), controlKey("commit"), endTxnMarkerValue(0));
      const owner = { producerId: 7, producerEpoch: 0, baseSequence: -1 };
      append(log, builder.build({ ...owner, transactional: true, control: true }), offset++);
      continue;
    }
    const hasGaps = below(3) === 0;
    let delta = 0;
    for (let count = 1 + below(30); count > 0; count--) {
      if (hasGaps) delta += below(3);
      const timestampMs = startMs + below(100_000);
      builder.appendAt(delta, timestampMs, null, "x".repeat(below(300)));
      records.push({ offset: offset + delta, timestampMs });
      delta++;
    }
    const lastOffsetDelta = delta - 1 + (hasGaps ? below(3) : 0);
    const compressor = codecById([0, 0, 1, 2, 3][below(5)]!)!;
    append(log, builder.build({ compressor, lastOffsetDelta }), offset);
    offset += lastOffsetDelta + 1;
  }
  return records;
}

test("the next record is the one that reading on would give, from every offset", async () => {
  const log = await logOf("orders");
  const records = fill(log, 11);
  const end = log.logEndOffset;
  for (let from = 0; from <= end; from++) {
    const wanted = records.find(({ offset }) => offset >= from) ?? null;
    expect(await nextRecord(log, from, end), `from ${from}`).toEqual(wanted);
  }
  // A high watermark in the midst: what is above it is not there yet.
  const middle = records[Math.floor(records.length / 2)]!;
  expect(await nextRecord(log, middle.offset, middle.offset)).toBeNull();
});

function source(offsets: readonly (readonly [topic: string, partition: number, offset: number])[]): GroupShard {
  const byTopic = new Map<string, Map<number, { offset: bigint }>>();
  for (const [topic, partition, offset] of offsets)
    byTopic.set(topic, (byTopic.get(topic) ?? new Map()).set(partition, { offset: BigInt(offset) }));
  const group = { groupId: "shop", type: "classic", members: new Set(["a", "b"]) } as unknown as Group;
  return {
    groups: [group],
    group: () => group,
    store: { ofGroup: () => byTopic },
  } as unknown as GroupShard;
}

async function lagsOf(shard: GroupShard, nowMs: number, onLeftOut?: (count: number) => void) {
  const { partitions, logger } = fixture!.broker.parts;
  let monotonicMs = 0;
  const clock = { wallMs: () => nowMs, monotonicMs: () => monotonicMs++ };
  const lags = new GroupLags({ groups: { shards: () => [shard] }, partitions, clock, timers: systemTimers, logger });
  const all = [];
  for await (const one of lags.read(onLeftOut)) all.push(one);
  return all;
}

test("seconds count from the next record to be read; nothing behind is 0", async () => {
  const log = await logOf("orders");
  const records = fill(log, 3);
  const end = log.logEndOffset;
  log.setHighWatermark(end);
  const middle = records[100]!;
  const shard = source([["orders", 0, middle.offset]]);
  const nowMs = startMs + 200_000;
  const seconds = (nowMs - middle.timestampMs) / 1000;
  const partition = { topic: "orders", partition: 0, offset: middle.offset, records: end - middle.offset, seconds };
  expect(await lagsOf(shard, nowMs)).toEqual([{ groupId: "shop", memberCount: 2, partitions: [partition] }]);
  // A clock that went back makes no negative age.
  expect((await lagsOf(shard, startMs - 5))[0]!.partitions[0]!.seconds).toBe(0);
  expect((await lagsOf(source([["orders", 0, end]]), nowMs))[0]!.partitions[0]).toMatchObject({
    records: 0,
    seconds: 0,
  });
});

test("an offset below the log's start counts from the start; a partition that is not here is not known", async () => {
  const log = await logOf("orders");
  const records = fill(log, 5);
  log.setHighWatermark(log.logEndOffset);
  const first = records[20]!;
  log.deleteRecordsBefore(offsetOf(first.offset));
  const [group] = await lagsOf(
    source([
      ["orders", 0, 1],
      ["elsewhere", 3, 9],
    ]),
    startMs + 500_000,
  );
  expect(group!.partitions).toEqual([
    {
      ...{ topic: "orders", partition: 0, offset: 1, records: log.logEndOffset - 1 },
      seconds: (startMs + 500_000 - first.timestampMs) / 1000,
    },
    { topic: "elsewhere", partition: 3, offset: 9, records: null, seconds: null },
  ]);
});

test("a reading is bounded in partitions and gives way to the loop", async () => {
  await logOf("orders");
  const offsets = Array.from({ length: lagPartitionCountMax + 5 }, (_, at) => ["orders", at, 0] as const);
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  let leftOut = 0;
  const [group] = await lagsOf(source(offsets), startMs, (more) => {
    leftOut += more;
  });
  isOver = true;
  expect(group!.partitions).toHaveLength(lagPartitionCountMax);
  expect(leftOut).toBe(5);
  expect(turns).toBeGreaterThan(lagPartitionCountMax / 100);
});
