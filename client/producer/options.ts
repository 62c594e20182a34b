// The producer's settings: Kafka's names in camel case with their units, Kafka's defaults but for one. `lingerMs` is 0 here, and means
// that a batch which is not full leaves when its broker has no other produce request of ours under way: batches grow with load by
// themselves and a lone record waits for nobody. Set above 0 it is Kafka's linger.ms.
import { type Codec, type CodecName, codecByName } from "@blumfeld/core/compression";
import { type ClientOptions, checkedNumber } from "../connection/options.ts";
import { clientError } from "../errors.ts";
import type { Partitioner } from "./partitioner.ts";
import type { TransactionOptions } from "./transaction-manager.ts";

export type Acks = "all" | 0 | 1 | -1;

export interface ProducerOptions extends ClientOptions {
  /** Whose confirmation a record waits for. Default "all". */
  readonly acks?: Acks;
  /** No duplicates and no reordering by retries. Default true, unless acks is 0 or 1. */
  readonly idempotent?: boolean;
  /**
   * A batch is closed when it would grow past this. Default 16,384; left out, batches behind others that wait may grow to sixteen times that:
   * under load a few large ones cost a third of many small ones.
   */
  readonly batchBytes?: number;
  /** How long a batch waits for more records. Default 0: see the top of this file. */
  readonly lingerMs?: number;
  /** Records that are not yet confirmed take at most this; `send` waits for room. Default 32 MiB. */
  readonly bufferBytes?: number;
  /** How long `send` waits for room or for the topic's metadata. Default 60,000. */
  readonly blockMsMax?: number;
  /** A produce request has at most this. Default 1 MiB. */
  readonly requestBytesMax?: number;
  /** Produce requests under way to one broker. Default 5, which is the most an idempotent producer may have. */
  readonly inFlightRequestsMax?: number;
  /** How often a batch is sent again. Default: as often as deliveryTimeoutMs allows. */
  readonly retriesMax?: number;
  /** From `send` to the confirmation or the error. Default 120,000. */
  readonly deliveryTimeoutMs?: number;
  readonly compression?: CodecName;
  /** The codec's own default where left out. */
  readonly compressionLevel?: number;
  /** "default": murmur2 of the key as Java does, sticky without a key. */
  readonly partitioner?: "default" | "round-robin" | Partitioner;
  /** Without a key: prefer partitions whose queue is short (KIP-794). Default true. */
  readonly partitionerAdaptive?: boolean;
  /** A topic not sent to for this long is no longer refreshed. Default 300,000. */
  readonly metadataIdleMsMax?: number;
  /** Records go in transactions; of two producers with one id the later fences the earlier. */
  readonly transactionalId?: string;
  /** The coordinator aborts a transaction that takes longer, and fences its producer. Default 60,000. */
  readonly transactionTimeoutMs?: number;
  /** Transactions may be prepared and decided by another system (KIP-939); they do not time out. Default false. */
  readonly twoPhaseCommit?: boolean;
}

export interface ResolvedProducerOptions {
  readonly acks: number;
  readonly idempotent: boolean;
  readonly batchBytes: number;
  /** For a batch behind another that waits. */
  readonly batchBytesBacklogged: number;
  readonly lingerMs: number;
  readonly bufferBytes: number;
  readonly blockMsMax: number;
  readonly requestBytesMax: number;
  readonly inFlightRequestsMax: number;
  readonly retriesMax: number;
  readonly deliveryTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly retryBackoffMs: number;
  readonly retryBackoffMsMax: number;
  readonly codec: Codec | null;
  readonly compressionLevel: number | undefined;
  readonly partitioner: "default" | "round-robin" | Partitioner;
  readonly partitionerAdaptive: boolean;
  readonly metadataIdleMsMax: number;
  readonly transaction: TransactionOptions | null;
  /** The batches say that they belong to a transaction. */
  readonly isTransactional: boolean;
}

const idempotentInFlightMax = 5;
const batchBytesDefault = 16_384;
const batchBytesBacklogged = 16 * batchBytesDefault;
const int32Max = 0x7fff_ffff;

function refuse(message: string): never {
  throw clientError("CLIENT_INVALID_OPTION", message);
}

function resolveAcks(acks: Acks | undefined): number {
  if (acks === undefined || acks === "all" || acks === -1) return -1;
  if (acks !== 0 && acks !== 1) refuse(`acks=${String(acks)} is not "all", 0 or 1`);
  return acks;
}

function resolveCodec(options: ProducerOptions): Codec | null {
  const codec = codecByName(options.compression ?? "none");
  if (codec === null) refuse(`compression=${options.compression} is not none, gzip, snappy, lz4 or zstd`);
  const { compressionLevel: level } = options;
  if (level !== undefined) {
    if (codec.levels === null) refuse(`compressionLevel=${level}: ${codec.name} has no levels`);
    checkedNumber("compressionLevel", level, 0, codec.levels.minimum, codec.levels.maximum);
  }
  return codec.id === 0 ? null : codec;
}

function resolveTransaction(options: ProducerOptions, blockMsMax: number): TransactionOptions | null {
  const { transactionalId, transactionTimeoutMs, twoPhaseCommit } = options;
  if (transactionalId === undefined) {
    if (twoPhaseCommit === true) refuse("twoPhaseCommit needs a transactionalId");
    return null;
  }
  if (transactionalId === "") refuse("transactionalId is empty");
  if (options.idempotent === false) refuse("a transactionalId needs idempotent true");
  if (twoPhaseCommit === true && transactionTimeoutMs !== undefined)
    refuse(
      `transactionTimeoutMs=${transactionTimeoutMs} means nothing with twoPhaseCommit: its transactions do not time out`,
    );
  const timeoutMs = checkedNumber("transactionTimeoutMs", transactionTimeoutMs, 60_000, 1, int32Max);
  return { transactionalId, timeoutMs: twoPhaseCommit === true ? null : timeoutMs, blockMsMax };
}

export function resolveProducerOptions(options: ProducerOptions): ResolvedProducerOptions {
  const acks = resolveAcks(options.acks);
  const idempotent = options.idempotent ?? (acks === -1 || options.transactionalId !== undefined);
  if (idempotent && acks !== -1) refuse(`acks=${acks} cannot be idempotent; use acks "all" or idempotent false`);
  const inFlightRequestsMax = checkedNumber("inFlightRequestsMax", options.inFlightRequestsMax, 5, 1, 1000);
  if (idempotent && inFlightRequestsMax > idempotentInFlightMax) {
    refuse(
      `inFlightRequestsMax=${inFlightRequestsMax} is above ${idempotentInFlightMax}, the most with idempotent true`,
    );
  }
  const lingerMs = checkedNumber("lingerMs", options.lingerMs, 0, 0);
  const requestTimeoutMs = checkedNumber("requestTimeoutMs", options.requestTimeoutMs, 30_000, 1);
  const deliveryTimeoutMs = checkedNumber("deliveryTimeoutMs", options.deliveryTimeoutMs, 120_000, 1);
  if (options.deliveryTimeoutMs !== undefined && deliveryTimeoutMs < lingerMs + requestTimeoutMs) {
    refuse(
      `deliveryTimeoutMs=${deliveryTimeoutMs} is below lingerMs + requestTimeoutMs = ${lingerMs + requestTimeoutMs}`,
    );
  }
  const requestBytesMax = checkedNumber("requestBytesMax", options.requestBytesMax, 1_048_576, 1024, int32Max);
  const blockMsMax = checkedNumber("blockMsMax", options.blockMsMax, 60_000, 0);
  const transaction = resolveTransaction(options, blockMsMax);
  return {
    acks,
    idempotent,
    batchBytes: Math.min(
      checkedNumber("batchBytes", options.batchBytes, batchBytesDefault, 0, int32Max),
      requestBytesMax,
    ),
    batchBytesBacklogged: Math.min(options.batchBytes ?? batchBytesBacklogged, requestBytesMax),
    lingerMs,
    bufferBytes: checkedNumber("bufferBytes", options.bufferBytes, 32 * 1024 * 1024, 1024),
    blockMsMax,
    requestBytesMax,
    inFlightRequestsMax,
    retriesMax: checkedNumber("retriesMax", options.retriesMax, int32Max, 0),
    deliveryTimeoutMs,
    requestTimeoutMs,
    retryBackoffMs: checkedNumber("retryBackoffMs", options.retryBackoffMs, 100, 0),
    retryBackoffMsMax: checkedNumber("retryBackoffMsMax", options.retryBackoffMsMax, 1000, 0),
    codec: resolveCodec(options),
    compressionLevel: options.compressionLevel,
    partitioner: options.partitioner ?? "default",
    partitionerAdaptive: options.partitionerAdaptive ?? true,
    metadataIdleMsMax: checkedNumber("metadataIdleMsMax", options.metadataIdleMsMax, 300_000, 0),
    transaction,
    isTransactional: transaction !== null,
  };
}
