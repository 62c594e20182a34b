// The one error class of the client: a code, whether the same call may succeed later, what the client does about it itself, and the step
// that is left to the caller. Brokers' codes have Kafka's names; the client's own begin with CLIENT_.
import { ErrorCode, type ErrorName, errorOf } from "@blumfeld/core/protocol";

/** The client's own refusals, with whether the same call may succeed later, and the step for the caller. */
const clientErrors = {
  CLIENT_CLOSED: [false, "Make a new client; a closed one does not open again."],
  CLIENT_TIMEOUT: [true, "See whether the brokers are up and reachable; raise the timeout if they are only slow."],
  CLIENT_DELIVERY_TIMEOUT: [
    true,
    "The record may or may not be in the log. See why the brokers are slow, or raise deliveryTimeoutMs.",
  ],
  CLIENT_BUFFER_FULL: [true, "Send more slowly, or raise bufferBytes or blockMsMax."],
  CLIENT_RECORD_TOO_LARGE: [false, "Send smaller records, or raise requestBytesMax and the topic's max.message.bytes."],
  CLIENT_INVALID_OPTION: [false, "Correct the option."],
  CLIENT_INVALID_ARGUMENT: [false, "Correct the argument."],
  CLIENT_NO_POSITION: [false, "Seek to an offset, or set autoOffsetReset to earliest or latest."],
  CLIENT_NOT_ASSIGNED: [false, "Assign the partition first."],
  CLIENT_CORRUPT_BATCH: [
    false,
    "The broker's log or its wire is damaged there: look at it with the dump tools, or seek past the batch.",
  ],
} as const;

export type ClientErrorCode = keyof typeof clientErrors;

/** What the client does by itself before it tries again. */
export type Recovery =
  | "none"
  | "retry"
  | "refresh-metadata"
  | "find-coordinator"
  | "rejoin-group"
  | "bump-producer-epoch"
  | "reset-offset"
  | "rebootstrap";

const recoveries: Partial<Record<ErrorName, Recovery>> = {
  UNKNOWN_TOPIC_OR_PARTITION: "refresh-metadata",
  UNKNOWN_TOPIC_ID: "refresh-metadata",
  INCONSISTENT_TOPIC_ID: "refresh-metadata",
  LEADER_NOT_AVAILABLE: "refresh-metadata",
  NOT_LEADER_OR_FOLLOWER: "refresh-metadata",
  REPLICA_NOT_AVAILABLE: "refresh-metadata",
  FENCED_LEADER_EPOCH: "refresh-metadata",
  UNKNOWN_LEADER_EPOCH: "refresh-metadata",
  KAFKA_STORAGE_ERROR: "refresh-metadata",
  LISTENER_NOT_FOUND: "refresh-metadata",
  NETWORK_EXCEPTION: "refresh-metadata",
  NOT_CONTROLLER: "refresh-metadata",
  BROKER_NOT_AVAILABLE: "refresh-metadata",
  COORDINATOR_NOT_AVAILABLE: "find-coordinator",
  NOT_COORDINATOR: "find-coordinator",
  ILLEGAL_GENERATION: "rejoin-group",
  UNKNOWN_MEMBER_ID: "rejoin-group",
  REBALANCE_IN_PROGRESS: "rejoin-group",
  MEMBER_ID_REQUIRED: "rejoin-group",
  OUT_OF_ORDER_SEQUENCE_NUMBER: "bump-producer-epoch",
  UNKNOWN_PRODUCER_ID: "bump-producer-epoch",
  OFFSET_OUT_OF_RANGE: "reset-offset",
  REBOOTSTRAP_REQUIRED: "rebootstrap",
};

const steps: Partial<Record<ErrorName, string>> = {
  UNKNOWN_TOPIC_OR_PARTITION: "Create the topic, or correct its name or the partition.",
  INVALID_TOPIC_EXCEPTION: "Choose another topic name.",
  TOPIC_ALREADY_EXISTS: "Choose another name, or use the topic that is there.",
  TOPIC_AUTHORIZATION_FAILED: "Give this principal the right on the topic.",
  GROUP_AUTHORIZATION_FAILED: "Give this principal the right on the group.",
  CLUSTER_AUTHORIZATION_FAILED: "Give this principal the right on the cluster.",
  MESSAGE_TOO_LARGE: "Send smaller records, or raise the topic's max.message.bytes.",
  RECORD_LIST_TOO_LARGE: "Lower batchBytes, or raise the topic's segment.bytes.",
  INVALID_REPLICATION_FACTOR: "Choose a replication factor that the number of brokers allows.",
  INVALID_CONFIG: "Correct the setting that the message names.",
  UNSUPPORTED_VERSION: "Use a newer broker, or do without this call.",
  UNSUPPORTED_COMPRESSION_TYPE: "Choose another compression.",
  NETWORK_EXCEPTION: "See that the address is right and that a broker listens there.",
  REQUEST_TIMED_OUT: "See whether the broker is overloaded; raise requestTimeoutMs if it is only slow.",
  NOT_ENOUGH_REPLICAS: "Bring replicas back, or lower min.insync.replicas.",
  INVALID_PRODUCER_EPOCH: "Another producer with this id has taken over: stop this one.",
  PRODUCER_FENCED: "Another producer with this id has taken over: stop this one.",
  NON_EMPTY_GROUP: "Stop the group's members first.",
  SASL_AUTHENTICATION_FAILED: "Correct the user name, the password or the mechanism.",
};

export interface KafkaErrorOptions {
  readonly code: ErrorName | ClientErrorCode;
  readonly message: string;
  readonly retriable: boolean;
  readonly recovery?: Recovery;
  readonly nextStep?: string;
  readonly cause?: unknown;
}

export class KafkaError extends Error {
  override name = "KafkaError";
  /** Kafka's name of the error, or one of the client's own. */
  readonly code: ErrorName | ClientErrorCode;
  /** Kafka's number; null for the client's own errors. */
  readonly errorCode: number | null;
  /** The same call may succeed later. */
  readonly retriable: boolean;
  /** What the client does by itself before it tries again. */
  readonly recovery: Recovery;
  /** What a person can do about it. */
  readonly nextStep: string;

  constructor(options: KafkaErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.errorCode = (ErrorCode as Readonly<Record<string, number>>)[options.code] ?? null;
    this.retriable = options.retriable;
    this.recovery = options.recovery ?? (options.retriable ? "retry" : "none");
    this.nextStep = options.nextStep ?? (options.retriable ? "Try again." : "See the message.");
  }
}

/** The error that a broker answered with. `what` names the thing it is about; `detail` is the broker's own sentence. */
export function errorFromCode(code: number, what: string, detail?: string | null): KafkaError {
  const row = errorOf(code);
  const isUnknown = row.code !== code;
  const text = detail === undefined || detail === null || detail === "" ? row.message : detail;
  return new KafkaError({
    code: row.name,
    message: `${what}: ${isUnknown ? `error ${code}, which this client does not know` : text} (${row.name})`,
    retriable: row.retriable,
    recovery: recoveries[row.name],
    nextStep: steps[row.name],
  });
}

/** An error that the client itself found. */
export function clientError(
  code: ClientErrorCode | ErrorName,
  message: string,
  cause?: unknown,
  retriable?: boolean,
): KafkaError {
  const own = (clientErrors as Readonly<Record<string, readonly [boolean, string]>>)[code];
  if (own !== undefined) {
    return new KafkaError({
      code,
      message: `${message} (${code})`,
      retriable: retriable ?? own[0],
      nextStep: own[1],
      cause,
    });
  }
  const row = errorOf((ErrorCode as Readonly<Record<string, number>>)[code]!);
  return new KafkaError({
    code,
    message: `${message} (${code})`,
    retriable: retriable ?? row.retriable,
    recovery: recoveries[row.name],
    nextStep: steps[row.name],
    cause,
  });
}
