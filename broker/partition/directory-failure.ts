// What a broker does when the device under one of its log directories fails: the partitions that lie there are offline and answer
// KAFKA_STORAGE_ERROR, all others go on. The controller hears of the directory with the next heartbeat.
import { ErrorCode } from "@blumfeld/core/protocol";
import type { PartitionManager } from "./partition-manager.ts";

/** Returns how many partitions went offline. */
export function takeDirectoryOffline(partitions: PartitionManager, directory: string): number {
  let count = 0;
  for (const partition of partitions.all()) {
    if (partition.log?.directory !== directory) continue;
    partition.log = null;
    // Whatever waits there, nobody will write or commit it any more.
    partition.failAppends(ErrorCode.KAFKA_STORAGE_ERROR);
    partition.wakeFetches();
    count++;
  }
  return count;
}
