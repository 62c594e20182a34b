// What a shard of transactions needs of the outside: settings, read at each use so that a dynamic change counts from the next request on, and who
// writes the markers.
import type { TimerTable, UndoLog } from "../runtime/index.ts";
import type { Transaction } from "./transaction.ts";

export interface TransactionConfig {
  /** transaction.max.timeout.ms */
  readonly timeoutMsMax: number;
  readonly isTwoPhaseCommitEnabled: boolean;
  /** transactional.id.expiration.ms */
  readonly idExpirationMs: number;
  readonly idExpirationIntervalMs: number;
  /** The finalized level of transaction.version: what records may hold, and whether an abort of the coordinator raises the epoch. */
  readonly transactionVersion: number;
}

export type TransactionTimer =
  | { readonly kind: "timeout"; readonly transactionalId: string }
  | { readonly kind: "id-expiry" };

export interface TransactionShardPorts {
  readonly undo: UndoLog;
  readonly timers: TimerTable<TransactionTimer>;
  readonly config: TransactionConfig;
  /** The transaction's decision is committed: write its markers, then ask the shard to `complete` it. */
  readonly sendMarkers: (transaction: Transaction) => void;
}
