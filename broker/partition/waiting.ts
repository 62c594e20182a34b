// Those who wait for a partition: an append for its write or its commit, a fetch for more to read. Small objects in lists of the partition.

/** One partition's part of a produce request. */
export interface WaitingAppend {
  /** One past its last record: what has to be written, and committed where `needsCommit` says so. */
  readonly requiredOffset: number;
  readonly needsCommit: boolean;
  /** Once: written and, where asked for, committed (0), or why not. */
  onAppendDone(errorCode: number): void;
}

/** A fetch that had too little to read. */
export interface WaitingFetch {
  /** A follower waits for the log to grow, a consumer for what is committed. */
  readonly isFollower?: boolean;
  /** The partition has more to read, or is no longer this broker's to read from. */
  onReadable(): void;
}

/** A deletion of records that is in force here, and not yet on every replica. */
export interface WaitingDeletion {
  readonly requiredOffset: number;
  /** Once. */
  onDeleted(errorCode: number): void;
}
