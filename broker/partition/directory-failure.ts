// What a broker does when the device under one of its log directories fails, or when a replica has moved to another. Of a failed directory the
// partitions are offline and answer KAFKA_STORAGE_ERROR, all others go on; the controller hears of it with the next heartbeat.
import type { PartitionLog } from "@blumfeld/core/log";
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

/** The partition goes on with the log in its new directory. Nothing is queued in the old one. */
export function followMovedReplica(partitions: PartitionManager, previous: PartitionLog, next: PartitionLog): void {
  const { topic, partition } = previous.topicPartition;
  const moved = partitions.get(topic, partition);
  if (moved?.log !== previous) return;
  moved.log = next;
  partitions.onReplicaMoved(moved);
}
