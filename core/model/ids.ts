// The numbers that name things in Kafka, each a type of its own so that an offset never goes where an epoch belongs.
// Constructors check: a wrong value is our own mistake and asserts. What a peer sent goes through the `…FromInt64` forms.
// Offsets, producer ids and timestamps are int64 on the wire and safe integers here; codecs refuse what lies past 2^53.
import { assert, type Brand, type Uuid } from "../base/index.ts";
import { numberFromInt64 } from "./int64.ts";

/** A record's place in its partition. Safe integer; negative only as one of the protocol's special values. */
export type Offset = Brand<number, "Offset">;
/** Counts the leaders of a partition. int32; -1 where unknown. */
export type LeaderEpoch = Brand<number, "LeaderEpoch">;
/** A broker or a controller. int32; -1 where there is none. */
export type NodeId = Brand<number, "NodeId">;
/** int32, from 0. */
export type PartitionIndex = Brand<number, "PartitionIndex">;
/** Given by InitProducerId. Safe integer; -1 where there is none. */
export type ProducerId = Brand<number, "ProducerId">;
/** int16; -1 where there is none. */
export type ProducerEpoch = Brand<number, "ProducerEpoch">;
/** Milliseconds since 1970-01-01 UTC. Safe integer; -1 where there is none. */
export type TimestampMs = Brand<number, "TimestampMs">;
/** Names a topic across deletion and re-creation of its name. */
export type TopicId = Uuid;

export const offsetNone = -1 as Offset;
export const leaderEpochNone = -1 as LeaderEpoch;
export const nodeIdNone = -1 as NodeId;
export const producerIdNone = -1 as ProducerId;
export const producerEpochNone = -1 as ProducerEpoch;
/** The base sequence of a batch without a producer id. */
export const sequenceNone = -1;
export const timestampNone = -1 as TimestampMs;

const int16Max = 0x7fff;
const int32Max = 0x7fff_ffff;

function within(value: number, minimum: number, maximum: number): boolean {
  return Number.isInteger(value) && value >= minimum && value <= maximum;
}

export function offsetOf(value: number): Offset {
  assert(Number.isSafeInteger(value), `offset ${value} is not a safe integer`);
  return value as Offset;
}

/** Null where no number holds the offset exactly. */
export function offsetFromInt64(value: bigint): Offset | null {
  return numberFromInt64(value) as Offset | null;
}

export function leaderEpochOf(value: number): LeaderEpoch {
  assert(within(value, -1, int32Max), `leader epoch ${value} is not -1 to ${int32Max}`);
  return value as LeaderEpoch;
}

export function nodeIdOf(value: number): NodeId {
  assert(within(value, -1, int32Max), `node id ${value} is not -1 to ${int32Max}`);
  return value as NodeId;
}

export function partitionIndexOf(value: number): PartitionIndex {
  assert(within(value, 0, int32Max), `partition ${value} is not 0 to ${int32Max}`);
  return value as PartitionIndex;
}

export function producerIdOf(value: number): ProducerId {
  assert(Number.isSafeInteger(value) && value >= -1, `producer id ${value} is not -1 or a safe integer`);
  return value as ProducerId;
}

/** Null where no number holds the producer id exactly: no broker has given such an id. */
export function producerIdFromInt64(value: bigint): ProducerId | null {
  return numberFromInt64(value) as ProducerId | null;
}

export function producerEpochOf(value: number): ProducerEpoch {
  assert(within(value, -1, int16Max), `producer epoch ${value} is not -1 to ${int16Max}`);
  return value as ProducerEpoch;
}

export function timestampOf(value: number): TimestampMs {
  assert(Number.isSafeInteger(value), `timestamp ${value} is not a safe integer`);
  return value as TimestampMs;
}

/** Null where no number holds the timestamp exactly. */
export function timestampFromInt64(value: bigint): TimestampMs | null {
  return numberFromInt64(value) as TimestampMs | null;
}

/** The sequence `distance` after `sequence`: sequences run from 0 to 2^31-1 and begin again at 0. */
export function sequencePlus(sequence: number, distance: number): number {
  const sum = sequence + distance;
  return sum > int32Max ? sum - int32Max - 1 : sum;
}
