// The `.snapshot` file: the producers as they stood at the offset in its name. A version, a CRC-32C of what follows it, the entries.
// Only the last batch of a producer is in it, so after a restart only a repeat of that one is recognised, as in Kafka.
import { ByteReader, ByteWriter, MalformedMessage } from "../base/index.ts";
import { crc32c } from "../model/index.ts";
import { decodeProducerSnapshot, encodeProducerSnapshot } from "../protocol/index.ts";
import { type ProducerEntry, sequenceMinus } from "./producer-state.ts";

const snapshotVersion = 1;
const crcAt = 2;
const entriesAt = 6;
/** Above any that Kafka writes: 46 bytes a producer. */
export const producerSnapshotBytesMax = 1024 * 1024 * 1024;

export function encodeSnapshot(entries: Iterable<ProducerEntry>): Buffer {
  const writer = new ByteWriter();
  writer.int16(snapshotVersion);
  const producerEntries = Array.from(entries, (entry) => {
    const last = entry.batches.at(-1);
    return {
      producerId: entry.producerId,
      epoch: entry.epoch,
      lastSequence: last?.lastSequence ?? -1,
      lastOffset: last?.lastOffset ?? -1,
      offsetDelta: last?.offsetDelta ?? 0,
      timestamp: entry.lastTimestamp,
      coordinatorEpoch: entry.coordinatorEpoch,
      currentTxnFirstOffset: entry.transactionFirstOffset,
    };
  });
  encodeProducerSnapshot(writer, { crc: 0, producerEntries }, snapshotVersion);
  const bytes = Buffer.concat(writer.finish());
  bytes.writeUInt32BE(crc32c(bytes.subarray(entriesAt)), crcAt);
  return bytes;
}

/** Null where the file is not whole: the one before it is used, and the log from there on. */
export function decodeSnapshot(bytes: Buffer): ProducerEntry[] | null {
  if (bytes.length < entriesAt + 4 || bytes.readInt16BE(0) !== snapshotVersion) return null;
  if (crc32c(bytes.subarray(entriesAt)) !== bytes.readUInt32BE(crcAt)) return null;
  try {
    return decodeProducerSnapshot(new ByteReader(bytes, crcAt), snapshotVersion).producerEntries.map((entry) => {
      const lastTimestamp = Number(entry.timestamp);
      const batch = {
        firstSequence: sequenceMinus(entry.lastSequence, entry.offsetDelta),
        lastSequence: entry.lastSequence,
        lastOffset: Number(entry.lastOffset),
        offsetDelta: entry.offsetDelta,
        timestamp: lastTimestamp,
      };
      return {
        producerId: Number(entry.producerId),
        epoch: entry.epoch,
        coordinatorEpoch: entry.coordinatorEpoch,
        lastTimestamp,
        transactionFirstOffset: Number(entry.currentTxnFirstOffset),
        batches: batch.lastOffset < 0 ? [] : [batch],
      };
    });
  } catch (error) {
    if (error instanceof MalformedMessage) return null;
    throw error;
  }
}
