// Writes the dead letters of one share partition (KIP-1191): in batches, one after another, each again with a back-off until it is written or can never
// be. Only then is its record finished. A letter may come twice where its broker ends in between, and is never left out but with a line in the
// broker's log. Holds offsets and counts; a record's bytes only while its batch is under way.
import { DiskError, type TimerHandle } from "@blumfeld/core/base";
import type { DeadLetterRange, OffsetSpan, ShareKey } from "@blumfeld/core/coordinator";
import { RecordBatchBuilder, recordBytesMax } from "@blumfeld/core/model";
import { ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { BrokerParts } from "../parts.ts";
import { type FoundCopies, type RecordCopy, recordCopies } from "./dead-letter-copies.ts";
import type { DeadLetterTopics } from "./dead-letter-topics.ts";
import type { DeadLetterTarget } from "./share-config.ts";

/** Of one batch. */
export const deadLettersPerBatchMax = 500;
export const deadLetterBatchBytesMax = 1024 * 1024;
export const deadLetterRetryMsMin = 100;
export const deadLetterRetryMsMax = 10_000;

/** The share partition whose letters these are. */
export interface DeadLetterSource {
  readonly key: ShareKey;
  readonly partition: Partition;
  /** False once another broker has taken over. */
  isWanted(): boolean;
  target(): DeadLetterTarget;
  /** Their letters are written; an error code where that could not be persisted. */
  finish(spans: readonly OffsetSpan[]): Promise<number>;
}

export interface DeadLetterParts extends Pick<BrokerParts, "clock" | "timers" | "logger"> {
  readonly deadLetterTopics: DeadLetterTopics;
}

interface Letter {
  readonly offset: number;
  readonly deliveryCount: number;
  readonly isRejected: boolean;
}

interface Batch {
  readonly letters: readonly Letter[];
  readonly bytes: Buffer;
  readonly hasCopies: boolean;
}

/** Another attempt gets the same answer. */
const finalErrors: ReadonlySet<number> = new Set([
  ErrorCode.MESSAGE_TOO_LARGE,
  ErrorCode.RECORD_LIST_TOO_LARGE,
  ErrorCode.INVALID_RECORD,
  ErrorCode.INVALID_TIMESTAMP,
  ErrorCode.INVALID_TOPIC_EXCEPTION,
  ErrorCode.CORRUPT_MESSAGE,
  ErrorCode.POLICY_VIOLATION,
]);

export class DeadLetterWriter {
  private readonly source: DeadLetterSource;
  private readonly parts: DeadLetterParts;
  /** By offset: no record has two. */
  private readonly waiting = new Map<number, Letter>();
  private isRunning = false;
  private isClosed = false;
  private timer: TimerHandle | null = null;
  private goOn: (() => void) | null = null;
  private retryMs = deadLetterRetryMsMin;
  /** Where a batch was too large, the next have fewer letters, and at last no copies. */
  private countMax = deadLettersPerBatchMax;
  private isWithoutCopies = false;

  constructor(source: DeadLetterSource, parts: DeadLetterParts) {
    this.source = source;
    this.parts = parts;
  }

  get waitingCount(): number {
    return this.waiting.size;
  }

  add(ranges: readonly DeadLetterRange[]): void {
    for (const { deliveryCount, first, isRejected, last } of ranges)
      for (let offset = first; offset <= last; offset++)
        this.waiting.set(offset, { offset, deliveryCount, isRejected });
    if (this.waiting.size === 0 || this.isRunning || this.isClosed) return;
    this.isRunning = true;
    void this.run();
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
    this.goOn?.();
  }

  private get isWanted(): boolean {
    return !this.isClosed && this.source.isWanted();
  }

  private names(): { readonly partition: string; readonly group: string } {
    return { partition: this.source.partition.name, group: this.source.key.groupId };
  }

  private async run(): Promise<void> {
    while (this.waiting.size > 0 && this.isWanted) {
      try {
        await this.step();
      } catch (error) {
        this.parts.logger.error({ err: error, ...this.names() }, `dead letters cannot be written: ${error}`);
        await this.pause();
      }
    }
    this.isRunning = false;
  }

  private async step(): Promise<void> {
    const target = this.source.target();
    if (target.problem !== null) return this.giveUp([...this.waiting.values()], target, target.problem);
    if (target.isMissing) {
      await this.parts.deadLetterTopics.create(target.topic);
      // Its partitions come with the metadata.
      if (this.source.target().isMissing) await this.pause();
      return;
    }
    const batch = await this.nextBatch(target);
    if (!this.isWanted) return;
    const { key } = this.source;
    const errorCode = await this.parts.deadLetterTopics.write(target.topic, key.partition, batch.bytes);
    if (errorCode === ErrorCode.NONE) {
      this.retryMs = deadLetterRetryMsMin;
      this.countMax = deadLettersPerBatchMax;
      this.isWithoutCopies = false;
      return this.finish(batch.letters);
    }
    if (!finalErrors.has(errorCode)) {
      if (this.retryMs === deadLetterRetryMsMax) this.warn(target, errorCode);
      return this.pause();
    }
    // One letter after another, so that one that is refused for good takes no other along.
    if (batch.letters.length > 1) this.countMax = Math.ceil(batch.letters.length / 2);
    else if (batch.hasCopies) this.isWithoutCopies = true;
    else await this.giveUp(batch.letters, target, errorOf(errorCode).name);
  }

  private warn({ topic }: DeadLetterTarget, errorCode: number): void {
    const context = { ...this.names(), topic, errorCode, count: this.waiting.size };
    this.parts.logger.warn(context, `dead letters wait: ${errorOf(errorCode).name}`);
  }

  private async nextBatch(target: DeadLetterTarget): Promise<Batch> {
    const chosen: Letter[] = [];
    for (const letter of this.waiting.values()) {
      if (chosen.length >= this.countMax) break;
      chosen.push(letter);
    }
    chosen.sort((one, other) => one.offset - other.offset);
    const hasCopies = target.isCopied && !this.isWithoutCopies;
    const found = hasCopies ? await this.copies(chosen) : null;
    const bytesMax = Math.min(deadLetterBatchBytesMax, target.batchBytesMax);
    const builder = new RecordBatchBuilder();
    const letters: Letter[] = [];
    const nowMs = this.parts.clock.wallMs();
    for (const letter of chosen) {
      if (found !== null && letter.offset > found.through) break;
      const { key, value } = found?.records.get(letter.offset) ?? noCopy;
      const headers = this.headersOf(letter);
      if (letters.length > 0 && builder.sizeBytes + recordBytesMax(key, value, headers) > bytesMax) break;
      builder.append(nowMs, key, value, headers);
      letters.push(letter);
    }
    return { letters, bytes: builder.build(), hasCopies };
  }

  private async copies(letters: readonly Letter[]): Promise<FoundCopies> {
    const { log } = this.source.partition;
    const offsets = letters.map(({ offset }) => offset);
    const none = { records: new Map<number, RecordCopy>(), through: offsets[offsets.length - 1]! };
    if (log === null) return none;
    try {
      return await this.parts.deadLetterTopics.inTurn(() => recordCopies(log, offsets));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.parts.logger.error({ err: error, ...this.names() }, "records cannot be read for their dead letters");
      return none;
    }
  }

  private headersOf({ deliveryCount, isRejected, offset }: Letter): { readonly key: string; readonly value: string }[] {
    const { key, partition } = this.source;
    return [
      { key: "__dlq.errors.topic", value: partition.topic },
      { key: "__dlq.errors.partition", value: String(key.partition) },
      { key: "__dlq.errors.offset", value: String(offset) },
      { key: "__dlq.errors.group", value: key.groupId },
      { key: "__dlq.errors.delivery.count", value: String(deliveryCount) },
      {
        key: "__dlq.errors.message",
        value: isRejected ? "Offset rejected by client." : "Offset delivery count exceeded the threshold.",
      },
    ];
  }

  /** Finished without a letter: nothing else would let the group go on. */
  private async giveUp(letters: readonly Letter[], { topic }: DeadLetterTarget, why: string): Promise<void> {
    const first = Math.min(...letters.map(({ offset }) => offset));
    const context = { ...this.names(), topic, offset: first, count: letters.length };
    this.parts.logger.error(context, `no dead letters are written: ${why}`);
    await this.finish(letters);
  }

  /** Until it is persisted: the letters are there already, and are not to be written again. */
  private async finish(letters: readonly Letter[]): Promise<void> {
    const spans = spansOf(letters);
    while (this.isWanted) {
      if ((await this.source.finish(spans)) === ErrorCode.NONE) {
        for (const { offset } of letters) this.waiting.delete(offset);
        return;
      }
      await this.pause();
    }
  }

  private pause(): Promise<void> {
    if (!this.isWanted) return Promise.resolve();
    const { retryMs } = this;
    this.retryMs = Math.min(retryMs * 2, deadLetterRetryMsMax);
    return new Promise((resolve) => {
      this.goOn = resolve;
      this.timer = this.parts.timers.after(retryMs, resolve);
    });
  }
}

const noCopy: RecordCopy = { key: null, value: null };

/** What lies side by side in one. */
function spansOf(letters: readonly Letter[]): OffsetSpan[] {
  const offsets = letters.map(({ offset }) => offset).sort((one, other) => one - other);
  const spans: { first: number; last: number }[] = [];
  for (const offset of offsets) {
    const last = spans[spans.length - 1];
    if (last !== undefined && last.last + 1 === offset) last.last = offset;
    else spans.push({ first: offset, last: offset });
  }
  return spans;
}
