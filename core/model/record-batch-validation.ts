// What may be wrong with a batch's header, each under a name; the caller maps names to Kafka's errors. Allocates nothing: this is on the
// way of every produced and every replicated byte. The records themselves: record-validation.ts.
import { crc32c } from "./crc32c.ts";
import {
  attributeBits,
  batchAt,
  batchAttributes,
  batchBaseOffset,
  batchBaseSequence,
  batchBaseTimestamp,
  batchCrc,
  batchHeaderBytes,
  batchLastOffsetDelta,
  batchLogOverheadBytes,
  batchMagic,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
} from "./record-batch.ts";

/** The batch does not stand as it was written. Kafka: CORRUPT_MESSAGE, but `magic-old` from a client: INVALID_RECORD. */
export type BatchDamage =
  /** Fewer bytes than a header, or a length field that says so. */
  | "size-too-small"
  /** The length reaches past the bytes there are. */
  | "size-past-end"
  /** A message set of magic 0 or 1, written by clients before 0.11. */
  | "magic-old"
  /** Magic 3 or more, or negative. */
  | "magic-unknown"
  | "crc-mismatch";

/** The batch stands as written, but must not be. Kafka: INVALID_RECORD, save where it says otherwise. */
export type BatchRefusal =
  /** A client's batch begins at offset 0. */
  | "base-offset-not-zero"
  /** The last offset delta is negative. */
  | "offset-range-invalid"
  /** No records, or a negative count. */
  | "count-not-positive"
  /** A count other than last offset delta + 1: a client's batch has no gaps. */
  | "count-mismatch"
  /** Only brokers write control batches. */
  | "control-batch"
  /** A producer id without a base sequence. */
  | "sequence-negative"
  /** A producer id without an epoch. */
  | "producer-epoch-negative"
  /** A producer id past 2^53 or below -1: no broker has given it. */
  | "producer-id-unknown"
  /** Transactional without a producer id. */
  | "transactional-without-producer"
  /** A codec id that names nothing: 5 to 7. Kafka: UNSUPPORTED_COMPRESSION_TYPE. */
  | "codec-unknown"
  /** A timestamp past 2^53 in the header. Kafka: INVALID_TIMESTAMP. */
  | "timestamp-out-of-range";

export type BatchProblem = BatchDamage | BatchRefusal;

/**
 * Whether the batch at `position` is whole and unharmed, whoever wrote it; null where it is. `end` bounds what may be read.
 * Reads every byte once, for the checksum.
 */
export function batchDamage(buffer: Buffer, position: number, end: number = buffer.length): BatchDamage | null {
  const available = end - position;
  // The magic of an old message lies where ours does, and old messages may be shorter than our header.
  if (available <= batchAt.magic) return "size-too-small";
  const length = buffer.readInt32BE(position + batchAt.batchLength);
  const magic = buffer.readInt8(position + batchAt.magic);
  if (magic !== batchMagic) return magic === 0 || magic === 1 ? "magic-old" : "magic-unknown";
  if (length < batchHeaderBytes - batchLogOverheadBytes) return "size-too-small";
  const size = batchLogOverheadBytes + length;
  if (size > available) return "size-past-end";
  const crc = crc32c(buffer.subarray(position + batchAt.attributes, position + size));
  return crc === batchCrc(buffer, position) ? null : "crc-mismatch";
}

/**
 * Whether a client may produce the batch at `position`, by its header and checksum alone; null where it may. That the request holds
 * exactly one batch (its size equals the records field) is the caller's to check.
 */
export function batchProduceProblem(
  buffer: Buffer,
  position: number,
  end: number = buffer.length,
): BatchProblem | null {
  return batchDamage(buffer, position, end) ?? batchRefusal(buffer, position);
}

/** As batchProduceProblem, for a batch known to be undamaged. */
export function batchRefusal(buffer: Buffer, position: number): BatchRefusal | null {
  if (batchBaseOffset(buffer, position) !== 0) return "base-offset-not-zero";
  const lastOffsetDelta = batchLastOffsetDelta(buffer, position);
  if (lastOffsetDelta < 0) return "offset-range-invalid";
  const count = batchRecordCount(buffer, position);
  if (count <= 0) return "count-not-positive";
  if (count !== lastOffsetDelta + 1) return "count-mismatch";
  const attributes = batchAttributes(buffer, position);
  if ((attributes & attributeBits.control) !== 0) return "control-batch";
  if ((attributes & attributeBits.codecMask) > 4) return "codec-unknown";
  if (
    !Number.isSafeInteger(batchMaxTimestamp(buffer, position)) ||
    !Number.isSafeInteger(batchBaseTimestamp(buffer, position))
  ) {
    return "timestamp-out-of-range";
  }
  return batchProducerRefusal(buffer, position, attributes);
}

function batchProducerRefusal(buffer: Buffer, position: number, attributes: number): BatchRefusal | null {
  const producerId = batchProducerId(buffer, position);
  if (producerId === -1) {
    return (attributes & attributeBits.transactional) !== 0 ? "transactional-without-producer" : null;
  }
  if (producerId < 0 || !Number.isSafeInteger(producerId)) return "producer-id-unknown";
  if (batchProducerEpoch(buffer, position) < 0) return "producer-epoch-negative";
  if (batchBaseSequence(buffer, position) < 0) return "sequence-negative";
  return null;
}
