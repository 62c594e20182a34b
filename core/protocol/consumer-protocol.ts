// What the members of a classic consumer group tell each other through the coordinator: subscriptions and assignments, each after an
// int16 version. A reader takes a newer version as the newest it knows and leaves the rest unread, as Kafka's clients do.
import { ByteReader, ByteWriter, MalformedMessage } from "../base/index.ts";
import {
  type ConsumerProtocolAssignment,
  type ConsumerProtocolAssignmentInit,
  type ConsumerProtocolSubscription,
  type ConsumerProtocolSubscriptionInit,
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
} from "./generated/data/consumer-protocol.ts";

/** Both messages have the same versions. */
export const consumerProtocolVersionMax = 3;

/** The version that is written before the body, and the one that the body is read by. */
function readVersion(reader: ByteReader): number {
  const version = reader.int16();
  if (version < 0) throw new MalformedMessage(`consumer protocol version ${version}`);
  return Math.min(version, consumerProtocolVersionMax);
}

export function readConsumerSubscription(bytes: Buffer): ConsumerProtocolSubscription & { readonly version: number } {
  const reader = new ByteReader(bytes);
  const version = readVersion(reader);
  return { ...decodeConsumerProtocolSubscription(reader, version), version };
}

export function writeConsumerSubscription(
  subscription: ConsumerProtocolSubscriptionInit,
  version = consumerProtocolVersionMax,
): Buffer {
  const writer = new ByteWriter(256);
  writer.int16(version);
  encodeConsumerProtocolSubscription(writer, subscription, version);
  return writer.finishContiguous();
}

/** Empty bytes, as a member without an assignment gets them, read as nothing assigned. */
export function readConsumerAssignment(bytes: Buffer): ConsumerProtocolAssignment {
  if (bytes.length === 0) return { assignedPartitions: [], userData: null };
  const reader = new ByteReader(bytes);
  return decodeConsumerProtocolAssignment(reader, readVersion(reader));
}

export function writeConsumerAssignment(
  assignment: ConsumerProtocolAssignmentInit,
  version = consumerProtocolVersionMax,
): Buffer {
  const writer = new ByteWriter(256);
  writer.int16(version);
  encodeConsumerProtocolAssignment(writer, assignment, version);
  return writer.finishContiguous();
}
