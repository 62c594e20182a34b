// What the controller and the brokers see of the quorum: an ordered, durable log of metadata records with one leader at a time. How many
// nodes stand behind it is the implementation's affair.
import type { Uuid } from "../base/index.ts";
import type { MetadataRecord, MetadataRecordInit } from "../protocol/index.ts";

export interface LeaderAndEpoch {
  /** -1 while there is none. */
  readonly leaderId: number;
  readonly epoch: number;
}

/** A record both ways: as it will lie in the log, and as a reader of the log will see it. */
export interface PreparedRecord {
  readonly bytes: Buffer;
  readonly record: MetadataRecord;
}

export interface CommittedBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly epoch: number;
  readonly timestampMs: number;
  readonly sizeBytes: number;
  readonly records: readonly MetadataRecord[];
}

/** The state that a snapshot holds: everything before `endOffset`. */
export interface SnapshotId {
  readonly endOffset: number;
  /** Of the record before `endOffset`. */
  readonly epoch: number;
}

/** Called in the order of the log. Throwing stops the node: a replica that skipped a record is worse than none. */
export interface QuorumListener {
  /** The state begins anew with a snapshot's records, given in pieces as they are read. */
  onSnapshot(id: SnapshotId, records: Iterable<MetadataRecord>): void;
  onCommit(batches: readonly CommittedBatch[]): void;
  onLeaderChange(leader: LeaderAndEpoch): void;
}

export interface AppendedRecords {
  readonly firstOffset: number;
  readonly lastOffset: number;
  /** Resolves when the records are durable and every listener has seen them. Rejects with NotLeader or the disk's error. */
  readonly committed: Promise<void>;
}

export interface VoterEndpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface Voter {
  readonly id: number;
  /** Null with kraft.version 0: voters are then known by id alone. */
  readonly directoryId: Uuid | null;
  readonly endpoints: readonly VoterEndpoint[];
}

export interface ReplicaProgress {
  readonly id: number;
  readonly directoryId: Uuid | null;
  /** -1 where unknown. */
  readonly logEndOffset: number;
  readonly lastFetchMs: number;
  readonly lastCaughtUpMs: number;
}

/** As DescribeQuorum answers. */
export interface QuorumDescription {
  readonly leader: LeaderAndEpoch;
  readonly highWatermark: number;
  readonly voters: readonly ReplicaProgress[];
  readonly observers: readonly ReplicaProgress[];
  readonly nodes: readonly Voter[];
}

export interface MetadataQuorum {
  readonly nodeId: number;
  readonly leaderAndEpoch: LeaderAndEpoch;
  /** The finalized kraft.version. */
  readonly kraftVersion: number;
  /** The offset that the next appended record gets. */
  readonly nextOffset: number;
  /** All below is committed. */
  readonly highWatermark: number;
  readonly voters: readonly Voter[];
  /** Queues the records, all of them or none; many calls in one turn share one write and one sync. Only a leader may append. */
  append(records: readonly PreparedRecord[]): AppendedRecords;
  addListener(listener: QuorumListener): void;
  describe(nowMs: number): QuorumDescription;
  /** Stops timers, writes what is queued, closes the log. */
  close(): Promise<void>;
}

/** An append on a node that does not lead. */
export class NotLeader extends Error {
  override name = "NotLeader";
  readonly leader: LeaderAndEpoch;
  constructor(leader: LeaderAndEpoch) {
    super(`this node does not lead the metadata quorum; the leader of epoch ${leader.epoch} is ${leader.leaderId}`);
    this.leader = leader;
  }
}

/** The whole committed state as records, for a snapshot; null while it cannot be told (inside a metadata transaction). */
export type SnapshotSource = () => Iterable<MetadataRecordInit> | null;
