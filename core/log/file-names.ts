// How Kafka names what lies in a log directory: a folder per partition, files by the first offset they hold. Names only; touches no disk.
import type { Random } from "../base/index.ts";
import { type Offset, parseTopicPartition, type TopicPartition } from "../model/index.ts";

export const fileSuffix = {
  log: ".log",
  offsetIndex: ".index",
  timeIndex: ".timeindex",
  transactionIndex: ".txnindex",
  producerSnapshot: ".snapshot",
  deleted: ".deleted",
  cleaned: ".cleaned",
  swap: ".swap",
} as const;

export const directoryFile = {
  recoveryPoints: "recovery-point-offset-checkpoint",
  logStartOffsets: "log-start-offset-checkpoint",
  highWatermarks: "replication-offset-checkpoint",
  cleanedOffsets: "cleaner-offset-checkpoint",
  cleanShutdown: ".kafka_cleanshutdown",
  lock: ".lock",
} as const;

export const partitionFile = {
  leaderEpochs: "leader-epoch-checkpoint",
  metadata: "partition.metadata",
} as const;

/** Twenty digits: the files of a folder sort as their offsets do. */
export function offsetFileName(offset: number, suffix: string): string {
  return `${String(offset).padStart(20, "0")}${suffix}`;
}

/** The offset that a file is named after; null where the name does not begin with one. */
export function fileNameOffset(name: string): Offset | null {
  const dot = name.indexOf(".");
  const digits = dot < 0 ? name : name.slice(0, dot);
  if (!/^[0-9]{1,20}$/.test(digits)) return null;
  const offset = Number(digits);
  return Number.isSafeInteger(offset) ? (offset as Offset) : null;
}

export type PartitionFolderState = "live" | "delete" | "future" | "stray";

export interface PartitionFolder {
  readonly topicPartition: TopicPartition;
  readonly state: PartitionFolderState;
}

const folderNameCharactersMax = 255;
const suffixedFolder = /^(.+)-([0-9]+)\.([0-9a-f]{32})-(delete|future|stray)$/;

/** What a folder of a log directory is; null where it is no partition's. */
export function parsePartitionFolder(name: string): PartitionFolder | null {
  const suffixed = suffixedFolder.exec(name);
  if (suffixed !== null) {
    const topicPartition = parseTopicPartition(`${suffixed[1]}-${suffixed[2]}`);
    return topicPartition === null ? null : { topicPartition, state: suffixed[4] as PartitionFolderState };
  }
  if (/-(delete|future|stray)$/.test(name)) return null;
  const topicPartition = parseTopicPartition(name);
  return topicPartition === null ? null : { topicPartition, state: "live" };
}

/** `<topic>-<partition>.<32 hex>-<state>`; the topic is cut where the name would be longer than file systems take. */
export function suffixedFolderName(
  topicPartition: TopicPartition,
  state: Exclude<PartitionFolderState, "live">,
  random: Random,
): string {
  const end = `-${topicPartition.partition}.${random.bytes(16).toString("hex")}-${state}`;
  return topicPartition.topic.slice(0, folderNameCharactersMax - end.length) + end;
}
