// The small text files of a log directory, byte for byte as Kafka writes them: offset checkpoints, leader epochs, a partition's topic id, the
// clean-shutdown mark. Formats only; the caller reads and writes the files.
import { parseUuid, type Uuid } from "../base/index.ts";
import type { LeaderEpoch, Offset, TopicPartition } from "../model/index.ts";

/** Above what any of these files can need: a million partitions with the longest topic names. */
export const checkpointBytesMax = 512 * 1024 * 1024;

/** The file is not what its format says. `line` counts from 1. */
export class MalformedCheckpoint extends Error {
  override name = "MalformedCheckpoint";
  constructor(line: number, text: string) {
    super(`line ${line} cannot be read: '${text.slice(0, 100)}'`);
  }
}

export interface OffsetCheckpointEntry {
  readonly topicPartition: TopicPartition;
  readonly offset: Offset;
}

/** Version 0, the count, then `topic partition offset`. */
export function encodeOffsetCheckpoint(entries: readonly OffsetCheckpointEntry[]): Buffer {
  const lines = entries.map(
    ({ topicPartition, offset }) => `${topicPartition.topic} ${topicPartition.partition} ${offset}`,
  );
  return encodeLines(lines);
}

export function decodeOffsetCheckpoint(bytes: Buffer): OffsetCheckpointEntry[] {
  return decodeLines(bytes, 3, (fields) => ({
    topicPartition: { topic: fields[0]!, partition: integer(fields[1]!) as TopicPartition["partition"] },
    offset: integer(fields[2]!) as Offset,
  }));
}

export interface LeaderEpochEntry {
  readonly epoch: LeaderEpoch;
  readonly startOffset: Offset;
}

/** Version 0, the count, then `epoch startOffset`. */
export function encodeLeaderEpochs(entries: readonly LeaderEpochEntry[]): Buffer {
  return encodeLines(entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`));
}

export function decodeLeaderEpochs(bytes: Buffer): LeaderEpochEntry[] {
  return decodeLines(bytes, 2, (fields) => ({
    epoch: integer(fields[0]!) as LeaderEpoch,
    startOffset: integer(fields[1]!) as Offset,
  }));
}

export function encodePartitionMetadata(topicId: Uuid): Buffer {
  return Buffer.from(`version: 0\ntopic_id: ${topicId}`, "latin1");
}

/** Null where the file is empty or cut: a crash came between its creation and its write, and the topic id is given again. */
export function decodePartitionMetadata(bytes: Buffer): Uuid | null {
  const match = /^version: 0\r?\ntopic_id: (\S{22})\s*$/.exec(bytes.toString("latin1"));
  return match === null ? null : parseUuid(match[1]!);
}

export function encodeCleanShutdown(brokerEpoch: number): Buffer {
  return Buffer.from(JSON.stringify({ version: 0, brokerEpoch }), "latin1");
}

/** The broker epoch; -1 where there is none to be read: older releases left the file empty. */
export function decodeCleanShutdown(bytes: Buffer): number {
  try {
    const { brokerEpoch } = JSON.parse(bytes.toString("latin1")) as { brokerEpoch?: unknown };
    return typeof brokerEpoch === "number" && Number.isSafeInteger(brokerEpoch) ? brokerEpoch : -1;
  } catch {
    return -1;
  }
}

function encodeLines(lines: readonly string[]): Buffer {
  const body = lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  return Buffer.from(`0\n${lines.length}\n${body}`, "latin1");
}

function decodeLines<T>(bytes: Buffer, fieldCount: number, entryOf: (fields: string[]) => T): T[] {
  const lines = bytes.toString("latin1").split("\n");
  if (lines[0]?.trim() !== "0") throw new MalformedCheckpoint(1, lines[0] ?? "");
  const count = integer(lines[1] ?? "", 2);
  if (count > lines.length - 2) throw new MalformedCheckpoint(2, lines[1]!);
  const entries: T[] = [];
  for (let index = 0; index < count; index++) {
    const line = lines[index + 2]!;
    const fields = line.trim().split(/\s+/);
    if (fields.length !== fieldCount) throw new MalformedCheckpoint(index + 3, line);
    entries.push(entryOf(fields));
  }
  if (lines.slice(count + 2).some((line) => line.trim() !== ""))
    throw new MalformedCheckpoint(count + 3, lines[count + 2]!);
  return entries;
}

function integer(text: string, line = 0): number {
  const value = Number(text.trim());
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0) throw new MalformedCheckpoint(line, text);
  return value;
}
