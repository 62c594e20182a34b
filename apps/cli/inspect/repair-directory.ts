// Mends a log directory as a start would: each damaged partition is opened as after a crash with nothing known to be flushed, so that every
// batch is looked at, the log ends before the first that is not whole, and indexes, epochs and producers are built anew.
import type { Disk, Logger } from "@blumfeld/core/base";
import {
  checkpointBytesMax,
  decodeOffsetCheckpoint,
  directoryFile,
  encodeOffsetCheckpoint,
  type LoadOptions,
  loadLog,
  logConfigDefaults,
  MalformedCheckpoint,
  parsePartitionFolder,
  standaloneEnvironment,
} from "@blumfeld/core/log";
import { topicPartitionKey } from "@blumfeld/core/model";
import { systemClock, systemRandom } from "@blumfeld/host/process";
import type { DirectoryCheck } from "./check-directory.ts";

export interface RepairedPartition {
  readonly name: string;
  readonly endOffset: number;
  readonly cutBytes: number;
}

/** Throws DiskError. */
export function repairDirectory(disk: Disk, check: DirectoryCheck, logger: Logger): RepairedPartition[] {
  const environment = standaloneEnvironment({ disk, clock: systemClock, random: systemRandom, logger });
  const repaired: RepairedPartition[] = [];
  for (const { findings, folder, name } of check.partitions) {
    const topicPartition = parsePartitionFolder(name)?.topicPartition;
    if (topicPartition === undefined || findings.every(({ severity }) => severity === "note")) continue;
    const start = 0 as LoadOptions["recoveryPoint"];
    const { log, report } = loadLog(
      environment,
      { topicPartition, directory: check.path, folder },
      // Gaps stay: whether the topic was compacted is not known here.
      { ...logConfigDefaults, cleanupPolicy: { delete: true, compact: true } },
      { hadCleanShutdown: false, recoveryPoint: start, logStartOffset: start, highWatermark: start },
    );
    log.close();
    repaired.push({ name, endOffset: log.logEndOffset, cutBytes: report.cutBytes });
  }
  const ends = new Map(check.partitions.map(({ endOffset, name }) => [name, endOffset]));
  for (const { endOffset, name } of repaired) ends.set(name, endOffset);
  mendCheckpoints(disk, check.path, ends);
  const path = `${check.path}/${directoryFile.cleanShutdown}`;
  // What was mended is to be looked at again by the start.
  if (repaired.length > 0 && disk.status(path) !== null) disk.removeFile(path);
  return repaired;
}

/** No checkpoint may name what its log does not have; one that cannot be read goes, and a start does without it. */
function mendCheckpoints(disk: Disk, directory: string, ends: ReadonlyMap<string, number>): void {
  for (const name of [
    directoryFile.recoveryPoints,
    directoryFile.logStartOffsets,
    directoryFile.highWatermarks,
    directoryFile.cleanedOffsets,
  ]) {
    const path = `${directory}/${name}`;
    if (disk.status(path) === null) continue;
    try {
      const entries = decodeOffsetCheckpoint(disk.readFile(path, checkpointBytesMax));
      const mended = entries.map((entry) => {
        const end = ends.get(topicPartitionKey(entry.topicPartition.topic, entry.topicPartition.partition));
        return end === undefined || entry.offset <= end ? entry : { ...entry, offset: end as typeof entry.offset };
      });
      if (mended.some((entry, index) => entry !== entries[index]))
        disk.writeFileAtomic(path, encodeOffsetCheckpoint(mended));
    } catch (error) {
      if (!(error instanceof MalformedCheckpoint)) throw error;
      disk.removeFile(path);
    }
  }
}
