// The share consumer's settings: Kafka's names in camel case with their units, and Kafka's defaults.
import { type ClientOptions, checkedNumber } from "../connection/options.ts";
import { clientError } from "../errors.ts";

export interface ShareConsumerOptions extends ClientOptions {
  /** The share group: its members work through the same records, each record goes to one of them at a time. */
  readonly groupId: string;
  /**
   * "implicit" (default): a message is accepted when the next one is asked for. "explicit": the program says of each message what becomes of it; one
   * of which it says nothing is another member's after the acquisition lock's time.
   */
  readonly acknowledgement?: "implicit" | "explicit";
  /** Told of every acknowledgement that was sent: whether the brokers took it. */
  readonly onAcknowledged?: (outcome: AcknowledgementOutcome) => void;
  /** Messages taken at once, by this member and in its name. Default 500. */
  readonly pollRecordsMax?: number;
  /** "batch-optimized" (default): whole batches, the last of which may go past pollRecordsMax. "record-limit": never more than that. */
  readonly acquireMode?: "batch-optimized" | "record-limit";
  /** A fetch waits for this many bytes, but no longer than fetchWaitMsMax. Default 1. */
  readonly fetchBytesMin?: number;
  /** Default 500. */
  readonly fetchWaitMsMax?: number;
  /** Default 50 MiB. */
  readonly fetchBytesMax?: number;
  /** Refuse batches whose checksum is wrong. Default true. */
  readonly checkCrcs?: boolean;
  /** A batch may unpack to this at most. Default 128 MiB. */
  readonly decompressedBytesMax?: number;
  readonly rack?: string;
}

export interface AcknowledgementOutcome {
  readonly topic: string;
  readonly partition: number;
  readonly offsets: readonly number[];
  /** Null: taken. INVALID_RECORD_STATE: the lock's time was over, the records may be another member's by now. */
  readonly error: Error | null;
}

export interface ResolvedShareOptions {
  readonly groupId: string;
  readonly isImplicit: boolean;
  readonly onAcknowledged: (outcome: AcknowledgementOutcome) => void;
  readonly pollRecordsMax: number;
  /** As requests say it. */
  readonly acquireMode: number;
  readonly fetchBytesMin: number;
  readonly fetchWaitMsMax: number;
  readonly fetchBytesMax: number;
  readonly checkCrcs: boolean;
  readonly decompressedBytesMax: number;
  readonly rack: string | null;
}

const int32Max = 0x7fff_ffff;
const mebibyte = 1024 * 1024;

function oneOf<Value extends string>(name: string, value: Value | undefined, values: readonly Value[]): Value {
  if (value === undefined) return values[0]!;
  if (!values.includes(value))
    throw clientError("CLIENT_INVALID_OPTION", `${name}=${value} is not ${values.join(" or ")}`);
  return value;
}

export function resolveShareOptions(options: ShareConsumerOptions): ResolvedShareOptions {
  const { groupId } = options;
  if (typeof groupId !== "string" || groupId === "") throw clientError("CLIENT_INVALID_OPTION", "groupId is empty");
  const number = (
    name: "pollRecordsMax" | "fetchBytesMin" | "fetchWaitMsMax" | "fetchBytesMax" | "decompressedBytesMax",
    fallback: number,
    minimum: number,
  ): number => checkedNumber(name, options[name], fallback, minimum, int32Max);
  return {
    groupId,
    isImplicit: oneOf("acknowledgement", options.acknowledgement, ["implicit", "explicit"]) === "implicit",
    onAcknowledged: options.onAcknowledged ?? (() => {}),
    pollRecordsMax: number("pollRecordsMax", 500, 1),
    acquireMode:
      oneOf("acquireMode", options.acquireMode, ["batch-optimized", "record-limit"]) === "record-limit" ? 1 : 0,
    fetchBytesMin: number("fetchBytesMin", 1, 0),
    fetchWaitMsMax: number("fetchWaitMsMax", 500, 0),
    fetchBytesMax: number("fetchBytesMax", 50 * mebibyte, 1),
    checkCrcs: options.checkCrcs ?? true,
    decompressedBytesMax: number("decompressedBytesMax", 128 * mebibyte, 1),
    rack: options.rack ?? null,
  };
}
