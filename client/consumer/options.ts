// The consumer's settings: Kafka's names in camel case with their units, and Kafka's defaults.
import { type ClientOptions, checkedNumber } from "../connection/options.ts";
import { clientError } from "../errors.ts";
import { type GroupOptions, type ResolvedGroupOptions, resolveGroupOptions } from "./group/options.ts";

export type IsolationLevel = "read_uncommitted" | "read_committed";
/** Where to begin without a position: KIP-1106's `byDurationMs` is that long before now. */
export type AutoOffsetReset = "earliest" | "latest" | "none" | { readonly byDurationMs: number };

export interface ConsumerOptions extends ClientOptions, GroupOptions {
  /** Default "latest", as Kafka's. */
  readonly autoOffsetReset?: AutoOffsetReset;
  /** Default "read_uncommitted". */
  readonly isolationLevel?: IsolationLevel;
  /** A fetch waits for this many bytes, but no longer than fetchWaitMsMax. Default 1. */
  readonly fetchBytesMin?: number;
  /** Default 500. */
  readonly fetchWaitMsMax?: number;
  /** An answer has about this at most (one batch always fits). Default 50 MiB. */
  readonly fetchBytesMax?: number;
  /** The same of one partition. Default 1 MiB. */
  readonly partitionBytesMax?: number;
  /** Fetched and not yet handed out, all partitions together. Default 64 MiB. */
  readonly bufferBytes?: number;
  /** `poll` returns at most this many. Default 500. */
  readonly pollRecordsMax?: number;
  /** Refuse batches whose checksum is wrong. Default true. */
  readonly checkCrcs?: boolean;
  /** A batch may unpack to this at most. Default 128 MiB. */
  readonly decompressedBytesMax?: number;
  /** Fetch from the nearest replica (KIP-392). */
  readonly rack?: string;
  /** Whether asking for a topic may create it, where the broker allows that. Default false. */
  readonly allowAutoTopicCreation?: boolean;
}

export interface ResolvedConsumerOptions {
  readonly autoOffsetReset: AutoOffsetReset;
  readonly isReadCommitted: boolean;
  readonly fetchBytesMin: number;
  readonly fetchWaitMsMax: number;
  readonly fetchBytesMax: number;
  readonly partitionBytesMax: number;
  readonly bufferBytes: number;
  readonly pollRecordsMax: number;
  readonly checkCrcs: boolean;
  readonly decompressedBytesMax: number;
  readonly rack: string;
  readonly allowAutoTopicCreation: boolean;
  readonly group: ResolvedGroupOptions | null;
}

const int32Max = 0x7fff_ffff;
const mebibyte = 1024 * 1024;

export function resolveConsumerOptions(options: ConsumerOptions): ResolvedConsumerOptions {
  const isolation = options.isolationLevel ?? "read_uncommitted";
  if (isolation !== "read_uncommitted" && isolation !== "read_committed") {
    throw clientError(
      "CLIENT_INVALID_OPTION",
      `isolationLevel=${String(isolation)} is not read_uncommitted or read_committed`,
    );
  }
  const autoOffsetReset = options.autoOffsetReset ?? "latest";
  if (typeof autoOffsetReset === "object")
    checkedNumber("autoOffsetReset.byDurationMs", autoOffsetReset.byDurationMs, 0, 0);
  else if (!["earliest", "latest", "none"].includes(autoOffsetReset)) {
    throw clientError(
      "CLIENT_INVALID_OPTION",
      `autoOffsetReset=${autoOffsetReset} is not earliest, latest, none or { byDurationMs }`,
    );
  }
  const fetchBytesMax = checkedNumber("fetchBytesMax", options.fetchBytesMax, 50 * mebibyte, 1, int32Max);
  return {
    autoOffsetReset,
    isReadCommitted: isolation === "read_committed",
    fetchBytesMin: checkedNumber("fetchBytesMin", options.fetchBytesMin, 1, 0, int32Max),
    fetchWaitMsMax: checkedNumber("fetchWaitMsMax", options.fetchWaitMsMax, 500, 0, int32Max),
    fetchBytesMax,
    partitionBytesMax: checkedNumber("partitionBytesMax", options.partitionBytesMax, mebibyte, 1, int32Max),
    bufferBytes: checkedNumber("bufferBytes", options.bufferBytes, 64 * mebibyte, 1),
    pollRecordsMax: checkedNumber("pollRecordsMax", options.pollRecordsMax, 500, 1),
    checkCrcs: options.checkCrcs ?? true,
    decompressedBytesMax: checkedNumber(
      "decompressedBytesMax",
      options.decompressedBytesMax,
      128 * mebibyte,
      1,
      int32Max,
    ),
    rack: options.rack ?? "",
    allowAutoTopicCreation: options.allowAutoTopicCreation ?? false,
    group: resolveGroupOptions(options, { isReadCommitted: isolation === "read_committed", rack: options.rack }),
  };
}
