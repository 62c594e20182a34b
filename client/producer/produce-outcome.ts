// What the broker's answer for one batch means: pure decision, no state. As Kafka's Sender and TransactionManager decide.
import { ErrorCode, errorOf, type ProduceResponse } from "@blumfeld/core/protocol";

export type PartitionAnswer = ProduceResponse["responses"][number]["partitionResponses"][number];

export type Verdict =
  /** In the log. `isRepeat`: the broker had it already and may not know where. */
  | { readonly kind: "delivered"; readonly isRepeat: boolean }
  /** `refreshMetadata`: the leader moved or is unknown. `renumber`: the broker lost or never had our sequences: bump the epoch first. */
  | { readonly kind: "retry"; readonly refreshMetadata: boolean; readonly renumber: boolean }
  | { readonly kind: "split" }
  /** `renumber`: later batches of the partition have numbers that now leave a gap. */
  | { readonly kind: "failed"; readonly renumber: boolean };

export interface VerdictFacts {
  readonly errorCode: number;
  readonly recordCount: number;
  readonly hasSequence: boolean;
  /** Its epochs are the coordinator's to give: what cannot follow on fails, and the transaction with it. */
  readonly isTransactional: boolean;
  /** Everything the partition sent before this batch has been acknowledged. */
  readonly isNextToAcknowledge: boolean;
  /** Attempts and time allow another try. */
  readonly mayRetry: boolean;
}

export function verdictOf(facts: VerdictFacts): Verdict {
  const { errorCode, hasSequence, mayRetry } = facts;
  if (errorCode === ErrorCode.NONE) return { kind: "delivered", isRepeat: false };
  if (errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) return { kind: "delivered", isRepeat: true };
  if (errorCode === ErrorCode.MESSAGE_TOO_LARGE && facts.recordCount > 1) return { kind: "split" };
  if (hasSequence && mayRetry && facts.isTransactional) {
    const isEarly = errorCode === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER && !facts.isNextToAcknowledge;
    if (isEarly) return { kind: "retry", refreshMetadata: false, renumber: false };
  } else if (hasSequence && mayRetry) {
    if (errorCode === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER) {
      // Not the next one: an earlier batch failed and goes again before it; then this one fits.
      return { kind: "retry", refreshMetadata: false, renumber: facts.isNextToAcknowledge };
    }
    if (errorCode === ErrorCode.UNKNOWN_PRODUCER_ID) return { kind: "retry", refreshMetadata: false, renumber: true };
  }
  const { recovery, retriable } = { recovery: metadataErrors.has(errorCode), retriable: errorOf(errorCode).retriable };
  if (retriable && mayRetry) return { kind: "retry", refreshMetadata: recovery, renumber: false };
  return { kind: "failed", renumber: hasSequence };
}

/** Errors that say that the leader is elsewhere, or not known. */
const metadataErrors: ReadonlySet<number> = new Set([
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.INCONSISTENT_TOPIC_ID,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.REPLICA_NOT_AVAILABLE,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.UNKNOWN_LEADER_EPOCH,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.NETWORK_EXCEPTION,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
]);
