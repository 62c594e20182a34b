// The writer of dead letters against a partition that refuses: what waits is written later and once, what is too large is written without its record,
// and what can never be written is finished without a letter.
import type { TimerHandle } from "@blumfeld/core/base";
import type { OffsetSpan } from "@blumfeld/core/coordinator";
import { RecordCursor } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import { expect, test } from "vitest";
import { silentLogger } from "../fixture/broker-fixture.ts";
import type { Partition } from "../partition/partition.ts";
import type { DeadLetterTopics } from "./dead-letter-topics.ts";
import { DeadLetterWriter, deadLetterRetryMsMax } from "./dead-letter-writer.ts";
import type { DeadLetterTarget } from "./share-config.ts";

const topic = "dlq.t";
const target = { topic, isCopied: false, isMissing: false, batchBytesMax: 1_000_000, problem: null };

interface World {
  readonly writer: DeadLetterWriter;
  /** Offsets of each batch that was tried. */
  readonly tried: number[][];
  readonly finished: OffsetSpan[];
  readonly delays: number[];
  target: DeadLetterTarget;
}

function world(answer: (offsets: readonly number[], attempt: number) => number, finishCodes: number[] = []): World {
  const tried: number[][] = [];
  const finished: OffsetSpan[] = [];
  const delays: number[] = [];
  const write = async (_topic: string, _partition: number, batch: Buffer): Promise<number> => {
    const offsets = offsetsOf(batch);
    tried.push(offsets);
    return answer(offsets, tried.length);
  };
  const timers = {
    after(delayMs: number, callback: () => void): TimerHandle {
      delays.push(delayMs);
      queueMicrotask(callback);
      return { cancel: () => {} };
    },
    atTurnEnd: queueMicrotask,
  };
  const clock = { wallMs: () => 1000, monotonicMs: () => 0 };
  const made: World = {
    ...{ tried, finished, delays, target },
    writer: new DeadLetterWriter(
      {
        key: { groupId: "g", topicId: "AAAAAAAAAAAAAAAAAAAAAQ" as never, partition: 0 },
        partition: { topic: "t", name: "t-0", log: null } as unknown as Partition,
        isWanted: () => true,
        target: () => made.target,
        finish: async (spans) => {
          const code = finishCodes.shift() ?? ErrorCode.NONE;
          if (code === ErrorCode.NONE) finished.push(...spans);
          return code;
        },
      },
      { timers, clock, logger: silentLogger, deadLetterTopics: { write } as unknown as DeadLetterTopics },
    ),
  };
  return made;
}

function offsetsOf(batch: Buffer): number[] {
  const cursor = new RecordCursor().openBatch(batch, 0);
  const offsets: number[] = [];
  while (cursor.next()) {
    const text = batch.toString("latin1", cursor.headersPosition, cursor.recordEnd);
    offsets.push(Number(/__dlq\.errors\.offset.(\d+)/s.exec(text)![1]));
  }
  return offsets;
}

const ranges = [
  { first: 3, last: 5, deliveryCount: 1, isRejected: true },
  { first: 9, last: 9, deliveryCount: 5, isRejected: false },
];
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test("written again with a growing back-off until it is taken, and finished once", async () => {
  const made = world((_offsets, attempt) => (attempt < 12 ? ErrorCode.NOT_LEADER_OR_FOLLOWER : ErrorCode.NONE));
  made.writer.add(ranges);
  await settled();
  expect(made.tried).toHaveLength(12);
  expect(made.delays.slice(0, 3)).toEqual([100, 200, 400]);
  expect(made.delays.at(-1)).toBe(deadLetterRetryMsMax);
  expect(made.finished).toEqual([
    { first: 3, last: 5 },
    { first: 9, last: 9 },
  ]);
  expect(made.writer.waitingCount).toBe(0);
});

test("what is written is not written again where only its end could not be kept", async () => {
  const made = world(() => ErrorCode.NONE, [ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_NOT_AVAILABLE]);
  made.writer.add(ranges);
  await settled();
  expect(made.tried).toEqual([[3, 4, 5, 9]]);
  expect(made.finished).toHaveLength(2);
});

test("one that is refused for good takes no other along", async () => {
  const made = world((offsets) => (offsets.includes(4) ? ErrorCode.MESSAGE_TOO_LARGE : ErrorCode.NONE));
  made.target = { ...target, isCopied: true };
  made.writer.add(ranges);
  await settled();
  // 4 alone twice: with its record and without.
  expect(made.tried.filter((offsets) => offsets.join() === "4")).toHaveLength(2);
  const written = made.tried.filter((offsets) => !offsets.includes(4)).flat();
  expect(written.sort((one, other) => one - other)).toEqual([3, 5, 9]);
  const finished = made.finished.flatMap(({ first, last }) => (first === last ? [first] : [first, last]));
  expect(finished.sort((one, other) => one - other)).toEqual([3, 4, 5, 9]);
});

test("a topic that takes none any more lets the group go on, and a closed writer does nothing", async () => {
  const made = world(() => ErrorCode.NONE);
  made.target = { ...target, problem: "there is no such topic" };
  made.writer.add(ranges);
  await settled();
  expect(made.tried).toEqual([]);
  expect(made.finished).toHaveLength(2);
  made.writer.close();
  made.writer.add([{ first: 20, last: 20, deliveryCount: 1, isRejected: true }]);
  await settled();
  expect(made.finished).toHaveLength(2);
});
