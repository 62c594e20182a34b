// The record of a partition that begins to exist: leader epoch 0, partition epoch 0, its directories where they are known.
import type { Uuid } from "../../base/index.ts";
import type { MetadataRecordInit } from "../../protocol/index.ts";
import {
  type ClusterImage,
  directoryMigrating,
  directoryUnassigned,
  leaderRecovered,
  partitionRecord,
} from "../image/index.ts";

/** Those of `replicas` that may be in sync from the start. The first of them leads. */
export function initialIsr(cluster: ClusterImage, replicas: readonly number[]): number[] {
  return replicas.filter((replica) => cluster.isActive(replica));
}

/** A broker with one directory can have a replica nowhere else; with several it chooses, and says so later. */
export function defaultDirectory(cluster: ClusterImage, replica: number): Uuid {
  const directories = cluster.broker(replica)?.directories ?? [];
  if (directories.length === 0) return directoryMigrating;
  return directories.length === 1 ? directories[0]! : directoryUnassigned;
}

export function newPartitionRecord(
  cluster: ClusterImage,
  metadataVersion: number,
  partition: {
    readonly topicId: Uuid;
    readonly index: number;
    readonly replicas: readonly number[];
    readonly isr: readonly number[];
  },
): MetadataRecordInit {
  const { topicId, index, replicas, isr } = partition;
  return partitionRecord(
    { id: topicId },
    index,
    {
      ...{ leader: isr[0]!, leaderEpoch: 0, partitionEpoch: 0, leaderRecoveryState: leaderRecovered },
      ...{ replicas, isr, elr: [], lastKnownElr: [], addingReplicas: [], removingReplicas: [] },
      directories: replicas.map((replica) => defaultDirectory(cluster, replica)),
    },
    metadataVersion,
  );
}
