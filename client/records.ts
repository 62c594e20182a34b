// What a program gives to a producer and gets from a consumer, in the shapes that both share.
import type { RecordBytes, RecordHeaderInput } from "@blumfeld/core/model";

/** Text is written as UTF-8; null is a null key or a tombstone. */
export type Bytes = RecordBytes;

/** Pairs in their order (a name may come more than once), or an object where order and repeats do not matter. */
export type HeadersInput = readonly (readonly [string, Bytes])[] | Readonly<Record<string, Bytes>>;

export interface ProducerRecord {
  readonly topic: string;
  readonly key?: Bytes;
  readonly value?: Bytes;
  readonly headers?: HeadersInput;
  /** Left out: chosen by the partitioner. */
  readonly partition?: number;
  /** Milliseconds since 1970. Left out: now. */
  readonly timestamp?: number;
}

/** Where a record lies. */
export interface RecordMetadata {
  readonly topic: string;
  readonly partition: number;
  /** -1 where the broker does not say: acks 0, or a repeat of a batch that it had already. */
  readonly offset: number;
  /** The record's own, or the broker's where the topic has LogAppendTime. */
  readonly timestamp: number;
}

export interface TopicPartitionInput {
  readonly topic: string;
  readonly partition: number;
}

const noHeaders: readonly RecordHeaderInput[] = [];

export function headerInputs(headers: HeadersInput | undefined): readonly RecordHeaderInput[] {
  if (headers === undefined) return noHeaders;
  if (isPairs(headers)) return headers.map(([key, value]) => ({ key, value }));
  return Object.entries(headers).map(([key, value]) => ({ key, value }));
}

function isPairs(headers: HeadersInput): headers is readonly (readonly [string, Bytes])[] {
  return Array.isArray(headers);
}
