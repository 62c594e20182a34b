// What an error means to a transaction: pure decisions, as Kafka's TransactionManager takes them for each of its requests.
import { ErrorCode, type ErrorName } from "@blumfeld/core/protocol";
import { KafkaError } from "../errors.ts";

export type TransactionCall = "init" | "addPartitions" | "addOffsets" | "commitOffsets" | "end" | "produce";

export type Fate =
  /** Ask again, the same coordinator. */
  | "repeat"
  /** Find the coordinator, then ask again. */
  | "repeat-elsewhere"
  /** The transaction is to be aborted; the producer goes on after that. */
  | "abort"
  /** The same, and the coordinator has forgotten the producer: it begins anew after that. */
  | "abort-and-renew"
  /** Nothing more can be done with this producer. */
  | "fatal";

/** An error of a transaction. Close the producer where it is fatal; abort the transaction, and try it again if you like, where it is not. */
export class TransactionError extends KafkaError {
  override name = "TransactionError";
  /** "abort": the transaction failed, the producer is well. "fatal": this producer is over. */
  readonly fate: "abort" | "fatal";

  constructor(cause: KafkaError, fate: "abort" | "fatal") {
    const isFenced = fate === "fatal" && fencedCodes.has(cause.code);
    super({
      code: isFenced ? "PRODUCER_FENCED" : cause.code,
      message: `${cause.message}${isFenced ? fencedHint : cause.code === "INVALID_TXN_STATE" ? notOpenHint : ""}`,
      retriable: false,
      recovery: "none",
      nextStep: fate === "abort" ? "Abort the transaction; it may then be tried again." : fatalStep(isFenced, cause),
      cause,
    });
    this.fate = fate;
  }
}

const fencedHint =
  ": another producer with this transactional id has begun, or the transaction took longer than its timeout";
const notOpenHint = ": the coordinator has no such transaction open; it aborts one that takes longer than its timeout";
const fencedCodes: ReadonlySet<string> = new Set(["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"]);

function fatalStep(isFenced: boolean, cause: KafkaError): string {
  return isFenced ? "Close this producer; the work is the other's now." : `Close this producer. ${cause.nextStep}`;
}

/** Of the error codes of a request; network troubles are "repeat-elsewhere". */
export function fateOf(call: TransactionCall, error: KafkaError): Fate {
  const code = error.code as ErrorName;
  const common = commonFates[code];
  if (call === "produce") return produceFates[code] ?? "abort";
  if (code === "INVALID_PRODUCER_EPOCH" || code === "PRODUCER_FENCED") return "fatal";
  const own = ownFates[call][code] ?? common;
  if (own !== undefined) return own;
  if (error.errorCode === null || error.errorCode === ErrorCode.UNKNOWN_SERVER_ERROR) return "fatal";
  return error.retriable ? "repeat" : "fatal";
}

type Fates = Readonly<Partial<Record<ErrorName, Fate>>>;

const commonFates: Fates = {
  NOT_COORDINATOR: "repeat-elsewhere",
  COORDINATOR_NOT_AVAILABLE: "repeat-elsewhere",
  REQUEST_TIMED_OUT: "repeat-elsewhere",
  NETWORK_EXCEPTION: "repeat-elsewhere",
  BROKER_NOT_AVAILABLE: "repeat-elsewhere",
  COORDINATOR_LOAD_IN_PROGRESS: "repeat",
  CONCURRENT_TRANSACTIONS: "repeat",
  TRANSACTION_ABORTABLE: "abort",
};

/** What failed for good in a transaction ends it; the epoch that fences is told by the end of the transaction. */
const produceFates: Fates = {
  CLUSTER_AUTHORIZATION_FAILED: "fatal",
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "fatal",
  PRODUCER_FENCED: "fatal",
  UNSUPPORTED_VERSION: "fatal",
  INVALID_PRODUCER_ID_MAPPING: "abort-and-renew",
};

const ownFates: Readonly<Record<Exclude<TransactionCall, "produce">, Fates>> = {
  init: {
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "abort",
    CLUSTER_AUTHORIZATION_FAILED: "abort",
  },
  addPartitions: {
    UNKNOWN_TOPIC_OR_PARTITION: "repeat",
    TOPIC_AUTHORIZATION_FAILED: "abort",
    OPERATION_NOT_ATTEMPTED: "abort",
    INVALID_PRODUCER_ID_MAPPING: "abort-and-renew",
    UNKNOWN_PRODUCER_ID: "abort-and-renew",
  },
  addOffsets: {
    GROUP_AUTHORIZATION_FAILED: "abort",
    INVALID_PRODUCER_ID_MAPPING: "abort-and-renew",
    UNKNOWN_PRODUCER_ID: "abort-and-renew",
  },
  commitOffsets: {
    UNKNOWN_TOPIC_OR_PARTITION: "repeat",
    GROUP_AUTHORIZATION_FAILED: "abort",
    FENCED_INSTANCE_ID: "abort",
    UNKNOWN_MEMBER_ID: "abort",
    ILLEGAL_GENERATION: "abort",
    STALE_MEMBER_EPOCH: "abort",
    REBALANCE_IN_PROGRESS: "abort",
  },
  end: {
    INVALID_PRODUCER_ID_MAPPING: "abort-and-renew",
    UNKNOWN_PRODUCER_ID: "abort-and-renew",
  },
};
