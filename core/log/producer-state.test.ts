import { describe, expect, test } from "vitest";
import { asClient, type LogWorld, logWorld, plainBatch } from "../../testing/log/fixtures.ts";
import { controlKey, endTxnMarkerValue, type Offset, RecordBatchBuilder } from "../model/index.ts";
import { ErrorCode } from "../protocol/index.ts";
import type { PartitionLog } from "./index.ts";
import { decodeSnapshot, encodeSnapshot } from "./producer-snapshot.ts";

interface Send {
  readonly id?: number;
  readonly epoch?: number;
  readonly sequence: number;
  readonly count?: number;
  readonly transactional?: boolean;
}

function send(world: LogWorld, log: PartitionLog, how: Send, verification?: "unverified") {
  const batch = plainBatch(how.count ?? 1, world.nowMs, {
    producerId: how.id ?? 7,
    producerEpoch: how.epoch ?? 0,
    baseSequence: how.sequence,
    transactional: how.transactional ?? false,
  });
  const outcome = log.append(batch, asClient(world, { verification }));
  log.writePending();
  log.setHighWatermark(log.logEndOffset);
  return outcome.kind === "refused" ? outcome.errorCode : `${outcome.kind} ${outcome.firstOffset}`;
}

function marker(type: "commit" | "abort", id: number, epoch: number, coordinatorEpoch: number): Buffer {
  const builder = new RecordBatchBuilder();
  builder.append(1000, controlKey(type), endTxnMarkerValue(coordinatorEpoch));
  return builder.build({ producerId: id, producerEpoch: epoch, control: true, transactional: true });
}

function end(world: LogWorld, log: PartitionLog, type: "commit" | "abort", id = 7, epoch = 0, coordinatorEpoch = 0) {
  const outcome = log.append(marker(type, id, epoch, coordinatorEpoch), asClient(world, { origin: "coordinator" }));
  log.writePending();
  return outcome.kind === "refused" ? outcome.errorCode : outcome.kind;
}

const outOfOrder = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER;
const staleEpoch = ErrorCode.INVALID_PRODUCER_EPOCH;
const sequenceMax = 0x7fff_ffff;

describe("sequences", () => {
  // Each row: what is sent, in order, and what the last one gets.
  const rows: [string, Send[], string | number][] = [
    ["the first batch of a producer may have any sequence", [{ sequence: 5 }], "appended 0"],
    ["the next sequence", [{ sequence: 0, count: 3 }, { sequence: 3 }], "appended 3"],
    ["a gap", [{ sequence: 0, count: 3 }, { sequence: 4 }], outOfOrder],
    [
      "a repeat of the last batch",
      [
        { sequence: 0, count: 3 },
        { sequence: 0, count: 3 },
      ],
      "duplicate 0",
    ],
    [
      "the same first sequence with another count",
      [
        { sequence: 0, count: 3 },
        { sequence: 0, count: 2 },
      ],
      outOfOrder,
    ],
    ["a repeat of the fifth last", [0, 1, 2, 3, 4, 0].map((sequence) => ({ sequence })), "duplicate 0"],
    ["a repeat of the sixth last", [0, 1, 2, 3, 4, 5, 0].map((sequence) => ({ sequence })), outOfOrder],
    ["a wrap from 2^31-1 to 0", [{ sequence: sequenceMax - 1, count: 2 }, { sequence: 0 }], "appended 2"],
    ["a batch across the wrap and what follows", [{ sequence: sequenceMax, count: 3 }, { sequence: 2 }], "appended 3"],
    [
      "a repeat across the wrap",
      [
        { sequence: sequenceMax, count: 3 },
        { sequence: sequenceMax, count: 3 },
      ],
      "duplicate 0",
    ],
    ["a new epoch from 0", [{ sequence: 9 }, { sequence: 0, epoch: 1 }], "appended 1"],
    ["a new epoch from elsewhere", [{ sequence: 9 }, { sequence: 10, epoch: 1 }], outOfOrder],
    [
      "an old epoch",
      [
        { sequence: 0, epoch: 2 },
        { sequence: 1, epoch: 1 },
      ],
      staleEpoch,
    ],
    [
      "a repeat from before a new epoch",
      [{ sequence: 0 }, { sequence: 0, epoch: 1, count: 2 }, { sequence: 0 }],
      staleEpoch,
    ],
    ["another producer", [{ sequence: 0 }, { sequence: 0, id: 8 }], "appended 1"],
  ];
  test.each(rows)("%s", (_what, sends, expected) => {
    const world = logWorld();
    const log = world.create();
    let last: string | number = "";
    for (const one of sends) last = send(world, log, one);
    expect(last).toBe(expected);
  });

  test("repeats within one turn are recognised before anything is written", () => {
    const world = logWorld();
    const log = world.create();
    const batch = (): Buffer => plainBatch(2, 1000, { producerId: 1, producerEpoch: 0, baseSequence: 0 });
    expect(log.append(batch(), asClient(world))).toMatchObject({ kind: "appended", firstOffset: 0 });
    expect(log.append(batch(), asClient(world))).toMatchObject({ kind: "duplicate", firstOffset: 0, lastOffset: 1 });
    log.writePending();
    expect(log.logEndOffset).toBe(2);
  });

  test("after a restart the last batch is still recognised, the ones before it are not", () => {
    const world = logWorld();
    const log = world.create();
    for (const sequence of [0, 1, 2]) send(world, log, { sequence });
    log.close();
    const again = world.load({ hadCleanShutdown: true, recoveryPoint: 3 as Offset, highWatermark: 3 as Offset });
    expect(send(world, again, { sequence: 2 })).toBe("duplicate 2");
    expect(send(world, again, { sequence: 1 })).toBe(outOfOrder);
    expect(send(world, again, { sequence: 3 })).toBe("appended 3");
  });

  test("an idle producer is forgotten, and may then begin anywhere", () => {
    const world = logWorld();
    const log = world.create();
    send(world, log, { sequence: 0 });
    expect(log.expireProducers(world.nowMs + world.environment.producerIdExpirationMs - 1)).toBe(0);
    expect(log.expireProducers(world.nowMs + world.environment.producerIdExpirationMs)).toBe(1);
    expect(send(world, log, { sequence: 100 })).toBe("appended 1");
  });
});

describe("transactions", () => {
  test("hold back the last stable offset until their marker is replicated", () => {
    const world = logWorld();
    const log = world.create();
    send(world, log, { sequence: 0, id: 1 });
    send(world, log, { sequence: 0, transactional: true });
    send(world, log, { sequence: 1, id: 1 });
    expect(log.lastStableOffset).toBe(1);
    expect(log.hasOngoingTransaction(7, 0)).toBe(true);
    expect(end(world, log, "commit")).toBe("appended");
    expect(log.hasOngoingTransaction(7, 0)).toBe(false);
    expect(log.lastStableOffset).toBe(1);
    log.setHighWatermark(log.logEndOffset);
    expect(log.lastStableOffset).toBe(4);
    expect(log.abortedTransactions(0 as Offset, 4 as Offset)).toEqual([]);
  });

  test("that abort are listed for those who read any part of them", () => {
    const world = logWorld();
    const log = world.create();
    send(world, log, { sequence: 0, transactional: true });
    send(world, log, { sequence: 0, id: 8, transactional: true });
    send(world, log, { sequence: 1, transactional: true });
    end(world, log, "abort");
    log.setHighWatermark(log.logEndOffset);
    expect(log.lastStableOffset).toBe(1);
    end(world, log, "abort", 8);
    log.setHighWatermark(log.logEndOffset);
    expect(log.lastStableOffset).toBe(5);
    const both = [
      { producerId: 7, firstOffset: 0 },
      { producerId: 8, firstOffset: 1 },
    ];
    expect(log.abortedTransactions(0 as Offset, 5 as Offset)).toEqual(both);
    expect(log.abortedTransactions(4 as Offset, 5 as Offset)).toEqual([both[1]]);
    expect(log.abortedTransactions(0 as Offset, 1 as Offset)).toEqual([both[0]]);
    log.close();
    const again = world.load({ hadCleanShutdown: true, recoveryPoint: 5 as Offset });
    expect(again.abortedTransactions(0 as Offset, 5 as Offset)).toEqual(both);
    const killed = world.load();
    expect(killed.abortedTransactions(0 as Offset, 5 as Offset)).toEqual(both);
  });

  test("stay open over a restart, whether clean or not", () => {
    for (const hadCleanShutdown of [true, false]) {
      const world = logWorld();
      const log = world.create();
      send(world, log, { sequence: 0, id: 1 });
      send(world, log, { sequence: 0, transactional: true });
      log.close();
      const again = world.load({ hadCleanShutdown, recoveryPoint: 2 as Offset, highWatermark: 2 as Offset });
      expect(again.lastStableOffset).toBe(1);
      expect(send(world, again, { sequence: 1 })).toBe(ErrorCode.INVALID_TXN_STATE);
      expect(end(world, again, "commit")).toBe("appended");
    }
  });

  test("end only by a marker of the producer's epoch or a later one, and of a coordinator that is not older", () => {
    const world = logWorld();
    const log = world.create();
    send(world, log, { sequence: 0, epoch: 3, transactional: true });
    expect(end(world, log, "commit", 7, 2)).toBe(staleEpoch);
    expect(end(world, log, "commit", 7, 4, 5)).toBe("appended");
    expect(send(world, log, { sequence: 1, epoch: 3, transactional: true })).toBe(staleEpoch);
    expect(send(world, log, { sequence: 1, epoch: 4, transactional: true })).toBe(outOfOrder);
    expect(send(world, log, { sequence: 0, epoch: 4, transactional: true })).toBe("appended 2");
    expect(end(world, log, "abort", 7, 4, 4)).toBe(ErrorCode.TRANSACTION_COORDINATOR_FENCED);
    expect(end(world, log, "abort", 7, 5, 5)).toBe("appended");
  });

  test("from transactions v2 on, takes a marker of the data's epoch for the repeat of an earlier one", () => {
    const world = logWorld();
    const log = world.create();
    const again = (): string | number => {
      const how = asClient(world, { origin: "coordinator", transactionVersion: 2 });
      const outcome = log.append(marker("abort", 7, 4, 0), how);
      log.writePending();
      return outcome.kind === "refused" ? outcome.errorCode : outcome.kind;
    };
    send(world, log, { sequence: 0, epoch: 3, transactional: true });
    expect(again()).toBe("appended");
    expect(again()).toBe("appended");
    send(world, log, { sequence: 0, epoch: 4, transactional: true });
    expect(again()).toBe(staleEpoch);
    expect(log.hasOngoingTransaction(7, 4)).toBe(true);
  });

  test("a marker without data changes no stable offset and enters no index", () => {
    const world = logWorld();
    const log = world.create();
    expect(end(world, log, "abort")).toBe("appended");
    log.setHighWatermark(log.logEndOffset);
    expect(log.lastStableOffset).toBe(1);
    expect(log.abortedTransactions(0 as Offset, 1 as Offset)).toEqual([]);
  });

  test("that nobody has confirmed do not begin, but go on", () => {
    const world = logWorld();
    const log = world.create();
    expect(send(world, log, { sequence: 0, transactional: true }, "unverified")).toBe(ErrorCode.INVALID_TXN_STATE);
    expect(send(world, log, { sequence: 0, transactional: true })).toBe("appended 0");
    expect(send(world, log, { sequence: 1, transactional: true }, "unverified")).toBe("appended 1");
  });

  test("a client may not write markers", () => {
    const world = logWorld();
    const log = world.create();
    expect(log.append(marker("commit", 7, 0, 0), asClient(world))).toMatchObject({
      kind: "refused",
      errorCode: ErrorCode.INVALID_RECORD,
    });
  });
});

describe("snapshots", () => {
  test("a damaged snapshot is not read, and the log is replayed instead", () => {
    const world = logWorld();
    const log = world.create();
    for (const sequence of [0, 1, 2]) send(world, log, { sequence });
    log.close();
    const path = "/data/topic-0/00000000000000000003.snapshot";
    const bytes = world.disk.readFile(path);
    bytes[20]! ^= 1;
    expect(decodeSnapshot(bytes)).toBeNull();
    world.disk.writeFileAtomic(path, bytes);
    const again = world.load({ recoveryPoint: 3 as Offset });
    expect(send(world, again, { sequence: 2 })).toBe("duplicate 2");
  });

  test("hold what they were given", () => {
    const batch = { firstSequence: sequenceMax, lastSequence: 1, lastOffset: 2 ** 40, offsetDelta: 2, timestamp: 5 };
    const entries = [
      {
        producerId: 2 ** 50,
        epoch: 3,
        coordinatorEpoch: 4,
        lastTimestamp: 5,
        transactionFirstOffset: 6,
        batches: [batch],
      },
      { producerId: 1, epoch: 0, coordinatorEpoch: -1, lastTimestamp: -1, transactionFirstOffset: -1, batches: [] },
    ];
    expect(decodeSnapshot(encodeSnapshot(entries))).toEqual(entries);
    for (let length = 0; length < 10; length++)
      expect(decodeSnapshot(encodeSnapshot(entries).subarray(0, length))).toBeNull();
  });
});
