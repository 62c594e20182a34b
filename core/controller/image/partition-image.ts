// One partition as the cluster's metadata has it. Never changed once made: a change makes another one, so a reader may keep what it
// acted on and compare. Lists are shared between partitions through a ListPool, which is what keeps a million of them small.
import type { Uuid } from "../../base/index.ts";
import type { PartitionChangeRecord, PartitionRecord } from "../../protocol/index.ts";
import type { ListPool } from "./list-pool.ts";

/** Nobody leads the partition. */
export const leaderNone = -1;
/** In a change record: the leader stays and so does its epoch. */
export const leaderUnchanged = -2;

export const leaderRecovered = 0;
/** The leader was elected uncleanly and has not yet said that it is done recovering (KIP-704). */
export const leaderRecovering = 1;

/** A replica whose directory its broker has not chosen yet (KIP-858). */
export const directoryUnassigned = "AAAAAAAAAAAAAAAAAAAAAA" as Uuid;
/** A replica in a directory that has failed. */
export const directoryLost = "AAAAAAAAAAAAAAAAAAAAAQ" as Uuid;
/** A replica from before directories had ids: its broker knows where it is. */
export const directoryMigrating = "AAAAAAAAAAAAAAAAAAAAAg" as Uuid;

export interface PartitionFields {
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly leaderRecoveryState: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly elr: readonly number[];
  readonly lastKnownElr: readonly number[];
  readonly directories: readonly Uuid[];
  readonly addingReplicas: readonly number[];
  readonly removingReplicas: readonly number[];
}

export class PartitionImage implements PartitionFields {
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly leaderRecoveryState: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  /** Replicas out of sync that still hold all that was committed (KIP-966). */
  readonly elr: readonly number[];
  readonly lastKnownElr: readonly number[];
  /** One for each replica, in the order of `replicas`. */
  readonly directories: readonly Uuid[];
  readonly addingReplicas: readonly number[];
  readonly removingReplicas: readonly number[];

  constructor(fields: PartitionFields, pool: ListPool) {
    this.leader = fields.leader;
    this.leaderEpoch = fields.leaderEpoch;
    this.partitionEpoch = fields.partitionEpoch;
    this.leaderRecoveryState = fields.leaderRecoveryState;
    this.replicas = pool.numbers(fields.replicas);
    this.isr = pool.numbers(fields.isr);
    this.elr = pool.numbers(fields.elr);
    this.lastKnownElr = pool.numbers(fields.lastKnownElr);
    this.directories = pool.uuids(fields.directories);
    this.addingReplicas = pool.numbers(fields.addingReplicas);
    this.removingReplicas = pool.numbers(fields.removingReplicas);
  }

  get isReassigning(): boolean {
    return this.addingReplicas.length > 0 || this.removingReplicas.length > 0;
  }

  /** The first replica: who leads when all are well. */
  get preferredLeader(): number {
    return this.replicas[0] ?? leaderNone;
  }
}

export function partitionFromRecord(record: PartitionRecord, pool: ListPool): PartitionImage {
  const { directories, replicas } = record;
  return new PartitionImage(
    {
      leader: record.leader,
      leaderEpoch: record.leaderEpoch,
      partitionEpoch: record.partitionEpoch,
      leaderRecoveryState: record.leaderRecoveryState,
      replicas,
      isr: record.isr,
      elr: record.eligibleLeaderReplicas ?? [],
      lastKnownElr: record.lastKnownElr ?? [],
      directories: directories.length > 0 ? directories : replicas.map(() => directoryMigrating),
      addingReplicas: record.addingReplicas,
      removingReplicas: record.removingReplicas,
    },
    pool,
  );
}

/** The partition after `record`. Its epoch goes up by one, its leader's epoch when the record names a leader. */
export function partitionAfterChange(
  partition: PartitionImage,
  record: PartitionChangeRecord,
  pool: ListPool,
): PartitionImage {
  const hasLeader = record.leader !== leaderUnchanged;
  const replicas = record.replicas ?? partition.replicas;
  const named = record.directories ?? [];
  return new PartitionImage(
    {
      leader: hasLeader ? record.leader : partition.leader,
      leaderEpoch: hasLeader ? partition.leaderEpoch + 1 : partition.leaderEpoch,
      partitionEpoch: partition.partitionEpoch + 1,
      leaderRecoveryState: record.leaderRecoveryState < 0 ? partition.leaderRecoveryState : record.leaderRecoveryState,
      replicas,
      isr: record.isr ?? partition.isr,
      elr: record.eligibleLeaderReplicas ?? partition.elr,
      lastKnownElr: record.lastKnownElr ?? partition.lastKnownElr,
      directories: named.length > 0 ? named : directoriesFor(replicas, partition),
      addingReplicas: record.addingReplicas ?? partition.addingReplicas,
      removingReplicas: record.removingReplicas ?? partition.removingReplicas,
    },
    pool,
  );
}

/** The directories of `replicas` where they were replicas before; new ones are still to be placed by their broker. */
function directoriesFor(replicas: readonly number[], before: PartitionImage): readonly Uuid[] {
  if (replicas === before.replicas) return before.directories;
  return replicas.map((replica) => {
    const index = before.replicas.indexOf(replica);
    return index < 0 ? directoryUnassigned : (before.directories[index] ?? directoryMigrating);
  });
}

export function partitionWithoutElr(partition: PartitionImage, pool: ListPool): PartitionImage {
  const { partitionEpoch } = partition;
  return new PartitionImage({ ...partition, partitionEpoch: partitionEpoch + 1, elr: [], lastKnownElr: [] }, pool);
}

/** The directory of `replica`; null where it is none of the partition's. */
export function replicaDirectory(partition: PartitionFields, replica: number): Uuid | null {
  const index = partition.replicas.indexOf(replica);
  return index < 0 ? null : (partition.directories[index] ?? directoryMigrating);
}
