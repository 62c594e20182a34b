// What a client's batch must be before a log takes it, in the order in which Kafka looks: size, magic, checksum, header, and that there are
// as many records as the header says. Packed records are unpacked for that, as Kafka does: a stream that no consumer could unpack would
// stop all of them. The records one by one only where the topic's settings demand it. Returns the bytes to append: the client's own, changed in place where the topic stamps times, or a
// repacked copy where it prescribes a codec. Reads no file.

import { mebibyte } from "../base/index.ts";
import {
  batchRecordsBytes,
  type Codec,
  codecById,
  codecByName,
  DecompressionProblem,
  repackBatch,
} from "../compression/index.ts";
import {
  type BatchProblem,
  batchCodecId,
  batchDamage,
  batchIsLogAppendTime,
  batchMaxTimestamp,
  batchRecordCount,
  batchRefusal,
  batchSetCreateTime,
  batchSetLogAppendTime,
  batchSizeAt,
  RecordBatchView,
  type RecordRefusal,
  type TopicPartition,
  validateRecords,
} from "../model/index.ts";
import { ErrorCode } from "../protocol/index.ts";
import type { LogConfig } from "./log-config.ts";
import type { AppendRefused, RecordError } from "./outcomes.ts";

/**
 * A packed batch may unpack to this many times max.message.bytes. Clients bound a batch before they pack it, but for Java's, which splits a
 * batch that is too large; and to find out that a bomb is one must not hold up the loop.
 */
export const unpackedRatioMax = 16;
/** … and to this much in any case, but never to more than the third bound. */
export const unpackedBytesMin = 16 * mebibyte;
export const unpackedBytesMax = 256 * mebibyte;

export type BatchVerdict = { readonly kind: "valid"; readonly bytes: Buffer } | AppendRefused;

export function refusal(
  errorCode: ErrorCode,
  message: string,
  details: { clientMessage?: string | null; recordErrors?: readonly RecordError[]; logStartOffset?: number } = {},
): AppendRefused {
  return {
    kind: "refused",
    errorCode,
    message,
    clientMessage: details.clientMessage ?? null,
    recordErrors: details.recordErrors ?? [],
    logStartOffset: details.logStartOffset ?? -1,
  };
}

export interface ValidationContext {
  readonly topicPartition: TopicPartition;
  readonly config: LogConfig;
  readonly nowMs: number;
  readonly logStartOffset: number;
  /** The records of a packed batch, where the caller has unpacked them. */
  readonly unpacked?: Buffer | undefined;
}

/** What the records of a packed batch may come to. */
export function unpackedRecordsBytesMax(config: LogConfig): number {
  return Math.min(Math.max(config.messageBytesMax * unpackedRatioMax, unpackedBytesMin), unpackedBytesMax);
}

/** Judges what a client wants to append: exactly one batch. */
export function validateClientBatch(bytes: Buffer, context: ValidationContext): BatchVerdict {
  const { config } = context;
  const size = batchSizeAt(bytes, 0);
  if (size < 0 || size > bytes.length) {
    // Kafka sees no whole batch in such bytes, and one is asked for.
    return refusal(ErrorCode.INVALID_RECORD, "a produce request must hold exactly one whole record batch");
  }
  if (size > config.messageBytesMax) {
    return refusal(
      ErrorCode.MESSAGE_TOO_LARGE,
      `a batch of ${size} bytes is above max.message.bytes=${config.messageBytesMax}`,
    );
  }
  const damage = batchDamage(bytes, 0);
  if (damage !== null) return damageRefusal(damage, bytes);
  if (size < bytes.length) {
    return refusal(ErrorCode.INVALID_RECORD, "a produce request must hold exactly one record batch");
  }
  const wrong = batchRefusal(bytes, 0);
  if (wrong !== null) return headerRefusal(wrong, context);
  if (batchIsLogAppendTime(bytes, 0)) {
    const message = "a producer must not set the timestamp type to LogAppendTime";
    return refusal(ErrorCode.INVALID_TIMESTAMP, message, {
      clientMessage: message,
      recordErrors: [{ batchIndex: 0, message }],
      logStartOffset: context.logStartOffset,
    });
  }
  return validateContent(bytes, context);
}

function damageRefusal(damage: BatchProblem, bytes: Buffer): AppendRefused {
  if (damage === "magic-old") return refusal(ErrorCode.INVALID_RECORD, "messages of magic 0 and 1 are not taken");
  if (damage === "magic-unknown") {
    const message = `Invalid magic found in record: ${bytes.readInt8(16)}`;
    return refusal(ErrorCode.CORRUPT_MESSAGE, message, { clientMessage: message });
  }
  return refusal(ErrorCode.CORRUPT_MESSAGE, `the batch is damaged: ${damage}`);
}

function headerRefusal(problem: BatchProblem, { logStartOffset }: ValidationContext): AppendRefused {
  const message = `the batch cannot be taken: ${problem}`;
  const details = { clientMessage: message, logStartOffset };
  if (problem === "codec-unknown") return refusal(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, message, details);
  if (problem === "timestamp-out-of-range") return refusal(ErrorCode.INVALID_TIMESTAMP, message, details);
  return refusal(ErrorCode.INVALID_RECORD, message, details);
}

function validateContent(bytes: Buffer, context: ValidationContext): BatchVerdict {
  const { config, nowMs } = context;
  const codecId = batchCodecId(bytes, 0);
  const target = targetCodec(config, codecId);
  const isAppendTime = config.messageTimestampType === "LogAppendTime";
  if (target.id === codecId && !mustReadRecords(bytes, context)) {
    const wrong = recordsWrong(bytes, context);
    if (wrong !== null) return wrong;
    if (isAppendTime) batchSetLogAppendTime(bytes, 0, nowMs);
    return { kind: "valid", bytes };
  }
  return validateWithRecords(bytes, target, context);
}

/** The topic's own codec, or the one that the producer chose. */
function targetCodec(config: LogConfig, codecId: number): Codec {
  if (config.compressionType === "producer") return codecById(codecId)!;
  return codecByName(config.compressionType)!;
}

function mustReadRecords(bytes: Buffer, { config, nowMs }: ValidationContext): boolean {
  if (config.cleanupPolicy.compact) return true;
  if (config.messageTimestampType === "LogAppendTime") return false;
  // The header has the latest timestamp but not the earliest.
  return (
    Number.isFinite(config.messageTimestampBeforeMsMax) ||
    batchMaxTimestamp(bytes, 0) - nowMs > config.messageTimestampAfterMsMax
  );
}

/** Whether the records are as many and as long as the batch says; null when they are. */
function recordsWrong(bytes: Buffer, context: ValidationContext): AppendRefused | null {
  const records = unpackedRecords(new RecordBatchView(bytes, 0), context);
  if (records instanceof DecompressionProblem) return unpackRefusal(records);
  if (recordLengthsFit(records, batchRecordCount(bytes, 0))) return null;
  return refusal(ErrorCode.INVALID_RECORD, "the records are not as many or as long as the batch says", {
    logStartOffset: context.logStartOffset,
  });
}

function unpackedRecords(view: RecordBatchView, context: ValidationContext): Buffer | DecompressionProblem {
  if (view.codecId !== 0 && context.unpacked !== undefined) return context.unpacked;
  return batchRecordsBytes(view, { outputBytesMax: unpackedRecordsBytesMax(context.config) });
}

/**
 * Hops over the records by their lengths: as many as the header counts, ending where the bytes do. Some nanoseconds a record; what is
 * inside them is not looked at.
 */
function recordLengthsFit(bytes: Buffer, count: number): boolean {
  const end = bytes.length;
  let at = 0;
  for (let left = count; left > 0; left--) {
    if (at + 1 >= end) return false;
    const first = bytes[at]!;
    const second = bytes[at + 1]!;
    let zigzag: number;
    if (first < 0x80) {
      zigzag = first;
      at += 1;
    } else if (second < 0x80) {
      zigzag = (first & 0x7f) | (second << 7);
      at += 2;
    } else {
      zigzag = 0;
      let shift = 0;
      for (let byte = 0x80; byte >= 0x80; shift += 7) {
        if (at >= end || shift > 28) return false;
        byte = bytes[at++]!;
        zigzag |= (byte & 0x7f) << shift;
      }
    }
    // Odd ones are negative.
    const length = zigzag >>> 1;
    if ((zigzag & 1) !== 0 || length > end - at) return false;
    at += length;
  }
  return at === end;
}

function validateWithRecords(bytes: Buffer, target: Codec, context: ValidationContext): BatchVerdict {
  const { config, nowMs, logStartOffset } = context;
  const view = new RecordBatchView(bytes, 0);
  const records = unpackedRecords(view, context);
  if (records instanceof DecompressionProblem) return unpackRefusal(records);
  const isAppendTime = config.messageTimestampType === "LogAppendTime";
  const verdict = validateRecords(view, records, {
    keyRequired: config.cleanupPolicy.compact,
    timestampMin: nowMs - config.messageTimestampBeforeMsMax,
    timestampMax: nowMs + config.messageTimestampAfterMsMax,
    logAppendTime: isAppendTime,
  });
  if (verdict.type === "malformed") {
    return refusal(ErrorCode.INVALID_RECORD, `the records cannot be read: ${verdict.problem}`, { logStartOffset });
  }
  if (verdict.type === "refused") return recordsRefusal(verdict.refusals, context);
  if (target.id === view.codecId) {
    if (isAppendTime) batchSetLogAppendTime(bytes, 0, nowMs);
    else if (verdict.maxTimestamp !== view.maxTimestamp) batchSetCreateTime(bytes, 0, verdict.maxTimestamp);
    return { kind: "valid", bytes };
  }
  const level = levelOf(config, target);
  const times = isAppendTime ? { logAppendTimeMs: nowMs } : { maxTimestampMs: verdict.maxTimestamp };
  const repacked = repackBatch(view, records, { codec: target, level, ...times });
  if (repacked.length > config.messageBytesMax) {
    const message = `the batch, packed as the topic asks, has ${repacked.length} bytes and is above max.message.bytes=${config.messageBytesMax}`;
    return refusal(ErrorCode.MESSAGE_TOO_LARGE, message);
  }
  return { kind: "valid", bytes: repacked };
}

function levelOf(config: LogConfig, codec: Codec): number | undefined {
  const { name } = codec;
  return name === "gzip" || name === "lz4" || name === "zstd" ? config.compressionLevels[name] : undefined;
}

function unpackRefusal(problem: DecompressionProblem): AppendRefused {
  const code =
    problem.code === "too-large"
      ? ErrorCode.MESSAGE_TOO_LARGE
      : problem.code === "corrupt"
        ? ErrorCode.CORRUPT_MESSAGE
        : ErrorCode.UNSUPPORTED_COMPRESSION_TYPE;
  return refusal(code, `the records cannot be unpacked: ${problem}`);
}

function recordsRefusal(refusals: readonly RecordRefusal[], context: ValidationContext): AppendRefused {
  const { topicPartition, config, nowMs, logStartOffset } = context;
  const { topic, partition } = topicPartition;
  const recordErrors = refusals.map(({ code, recordIndex }) => ({
    batchIndex: recordIndex,
    message:
      code === "key-null"
        ? `a compacted topic takes no record without a key (${topic}-${partition})`
        : code === "timestamp-out-of-range"
          ? `the timestamp is not between ${nowMs - config.messageTimestampBeforeMsMax} and ${nowMs + config.messageTimestampAfterMsMax}`
          : "the offset does not follow the one before",
  }));
  const message = `${recordErrors.length} records of the batch cannot be taken; record ${recordErrors[0]!.batchIndex}: ${recordErrors[0]!.message}`;
  const isTime = refusals.every(({ code }) => code === "timestamp-out-of-range");
  const errorCode = isTime ? ErrorCode.INVALID_TIMESTAMP : ErrorCode.INVALID_RECORD;
  // Kafka's own test of this answer compares the text.
  const clientMessage = isTime ? "One or more records have been rejected due to invalid timestamp" : message;
  return refusal(errorCode, message, { clientMessage, recordErrors, logStartOffset });
}
