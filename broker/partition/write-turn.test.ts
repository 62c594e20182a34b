// The write turn against disks that fail and disks that are slow, through the broker's own sockets.
import { type Disk, DiskError, type DiskFile } from "@blumfeld/core/base";
import { RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { MemoryDisk } from "@blumfeld/host/disk";
import { afterEach, describe, expect, it } from "vitest";
import { BrokerFixture, type FixtureClient } from "../fixture/broker-fixture.ts";
import { quickWriteCountMin, slowWriteCountMax, slowWriteMs, WritePace } from "./write-pace.ts";

function batch(value: string): Buffer {
  const builder = new RecordBatchBuilder();
  builder.append(1_700_000_000_000, null, value);
  return builder.build();
}

interface Weather {
  /** Called before each write to a segment, in either form. */
  beforeWrite: (form: "now" | "later") => void;
  laterMs: number;
}

/** A memory disk whose segment writes can be made to fail or to take long. */
function weatherDisk(weather: Weather): Disk {
  const disk = new MemoryDisk();
  const wrap = (file: DiskFile): DiskFile =>
    new Proxy(file, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        if (name === "write" && target.path.endsWith(".log"))
          return (chunks: readonly Uint8Array[], position: number) => {
            weather.beforeWrite("now");
            target.write(chunks, position);
          };
        if (name === "writeLater" && target.path.endsWith(".log"))
          return async (chunks: readonly Uint8Array[], position: number) => {
            weather.beforeWrite("later");
            await new Promise((resolve) => setTimeout(resolve, weather.laterMs));
            await target.writeLater(chunks, position);
          };
        return value.bind(target) as unknown;
      },
    });
  return new Proxy(disk, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (name === "open") return (path: string, mode: "read" | "append" | "create") => wrap(target.open(path, mode));
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

function stall(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe("write turn", () => {
  let fixture: BrokerFixture | null = null;
  afterEach(async () => {
    await fixture?.stop();
    fixture = null;
  });

  async function start(weather: Weather): Promise<FixtureClient> {
    fixture = await BrokerFixture.start({ topics: [{ name: "t" }], disk: weatherDisk(weather) });
    return fixture.client();
  }

  async function produce(client: FixtureClient, value: string): Promise<{ errorCode: number; baseOffset: bigint }> {
    const answer = await client.ask(ApiKey.Produce, 9, {
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: "t", partitionData: [{ index: 0, records: batch(value) }] }],
    });
    return answer.responses[0]!.partitionResponses[0]!;
  }

  async function highWatermark(client: FixtureClient): Promise<bigint> {
    const answer = await client.ask(ApiKey.Fetch, 11, {
      maxWaitMs: 0,
      minBytes: 0,
      topics: [{ topic: "t", partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
    });
    return answer.responses[0]!.partitions[0]!.highWatermark;
  }

  it("answers 56 where the disk is full, keeps reading, and takes up writing again", async () => {
    const weather: Weather = { beforeWrite: () => {}, laterMs: 0 };
    const client = await start(weather);
    expect(await produce(client, "one")).toMatchObject({ errorCode: 0, baseOffset: 0n });
    weather.beforeWrite = () => {
      throw new DiskError("ENOSPC", "/data/t-0", "write");
    };
    expect((await produce(client, "two")).errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(await highWatermark(client)).toBe(1n);
    weather.beforeWrite = () => {};
    expect(await produce(client, "three")).toMatchObject({ errorCode: 0, baseOffset: 1n });
    expect(fixture!.logger.lines.some((line) => line.includes("ENOSPC"))).toBe(true);
  });

  it("moves a slow directory to the pool and back, acknowledging nothing before it is written", async () => {
    const forms: string[] = [];
    let writesLeft = 0;
    const weather: Weather = {
      laterMs: 0,
      beforeWrite(form) {
        forms.push(form);
        if (form === "now" && writesLeft > 0) {
          writesLeft--;
          stall(slowWriteMs + 5);
        }
      },
    };
    const client = await start(weather);
    writesLeft = slowWriteCountMax;
    for (let index = 0; index < slowWriteCountMax; index++) await produce(client, `slow ${index}`);
    expect(forms.every((form) => form === "now")).toBe(true);
    expect(fixture!.logger.lines.some((line) => line.includes("through the thread pool"))).toBe(true);
    forms.length = 0;
    weather.laterMs = 15;
    const started = performance.now();
    expect((await produce(client, "pooled")).errorCode).toBe(0);
    expect(performance.now() - started).toBeGreaterThan(13);
    expect(forms).toEqual(["later"]);
    // Pipelined behind a write that is under way: each is acknowledged by its own write, with its own bytes.
    const other = await fixture!.client();
    const both = await Promise.all([produce(client, "a".repeat(3_000)), produce(other, "b".repeat(3_000))]);
    expect(both.map((one) => one.errorCode)).toEqual([0, 0]);
    weather.laterMs = 0;
    for (let index = 0; index < quickWriteCountMin; index++) await produce(client, `quick ${index}`);
    expect(fixture!.logger.lines.some((line) => line.includes("quick again"))).toBe(true);
    forms.length = 0;
    await produce(client, "on the loop");
    expect(forms).toEqual(["now"]);
    const log = fixture!.broker.parts.partitions.get("t", 0)!.log!;
    expect(log.writtenEndOffset).toBe(log.logEndOffset);
    expect(log.highWatermark).toBe(log.logEndOffset);
  });

  it("refuses with 6 what waits when leadership goes", async () => {
    const weather: Weather = { beforeWrite: () => {}, laterMs: 50 };
    const client = await start(weather);
    const partition = fixture!.broker.parts.partitions.get("t", 0)!;
    partition.followers = { committedOffset: () => 0 };
    client.send(ApiKey.Produce, 9, {
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: "t", partitionData: [{ index: 0, records: batch("waits") }] }],
    });
    while (partition.log!.writtenEndOffset < 1) await new Promise((resolve) => setTimeout(resolve, 2));
    fixture!.apply([
      {
        type: "PartitionChangeRecord",
        version: 0,
        value: {
          partitionId: 0,
          topicId: fixture!.topicId("t"),
          isr: null,
          leader: 2,
          replicas: null,
          removingReplicas: null,
          addingReplicas: null,
          leaderRecoveryState: -1,
          directories: null,
          eligibleLeaderReplicas: null,
          lastKnownElr: null,
        },
      },
    ]);
    const answer = await client.receive(ApiKey.Produce, 9);
    expect(answer.responses[0]!.partitionResponses[0]!.errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
  });

  it("answers 7 when the commit does not come in time", async () => {
    const client = await start({ beforeWrite: () => {}, laterMs: 0 });
    fixture!.broker.parts.partitions.get("t", 0)!.followers = { committedOffset: () => 0 };
    const answer = await client.ask(ApiKey.Produce, 9, {
      acks: -1,
      timeoutMs: 30,
      topicData: [{ name: "t", partitionData: [{ index: 0, records: batch("waits") }] }],
    });
    expect(answer.responses[0]!.partitionResponses[0]!.errorCode).toBe(ErrorCode.REQUEST_TIMED_OUT);
  });
});

describe("write pace", () => {
  it("takes one stalled write, or several slow ones close together, for slow", () => {
    const stalled = new WritePace();
    stalled.note(500);
    expect(stalled.isSlow).toBe(true);
    const slow = new WritePace();
    for (let index = 0; index < 200; index++) slow.note(index % 64 === 0 ? slowWriteMs + 1 : 1);
    expect(slow.isSlow).toBe(false);
    for (let index = 0; index < slowWriteCountMax; index++) slow.note(slowWriteMs + 1);
    expect(slow.isSlow).toBe(true);
    for (let index = 0; index < quickWriteCountMin - 1; index++) slow.note(1);
    expect(slow.isSlow).toBe(true);
    slow.note(1);
    expect(slow.isSlow).toBe(false);
  });
});
