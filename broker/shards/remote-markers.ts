// Markers for partitions that other brokers lead: gathered by broker, one WriteTxnMarkers at a time for each, as Kafka's coordinators send them.
// Whoever asked is told each partition's error and asks again where that may help.
import type { Timers } from "@blumfeld/core/base";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { PeerAddress, Peers } from "../peers/peers.ts";
import { shardLane, shardRequestMsMax } from "./shard-address.ts";
import type { Marker } from "./transaction-markers.ts";

/** Partitions of one request. */
export const markersPerRequestMax = 2_000;

interface Asked {
  readonly marker: Marker;
  readonly topic: string;
  readonly index: number;
  readonly done: (errorCode: number) => void;
}

interface Outbox {
  readonly address: PeerAddress;
  asked: Asked[];
  isSending: boolean;
}

export class RemoteMarkers {
  private readonly timers: Timers;
  private readonly outboxes = new Map<string, Outbox>();

  constructor(timers: Timers) {
    this.timers = timers;
  }

  write(peers: Peers, address: PeerAddress, asked: Asked): void {
    const key = `${address.id} ${address.host}:${address.port}`;
    let outbox = this.outboxes.get(key);
    if (outbox === undefined) {
      outbox = { address, asked: [], isSending: false };
      this.outboxes.set(key, outbox);
    }
    outbox.asked.push(asked);
    if (outbox.isSending) return;
    outbox.isSending = true;
    const open = outbox;
    // What ends in this turn goes together.
    this.timers.atTurnEnd(() => void this.send(peers, key, open));
  }

  private async send(peers: Peers, key: string, outbox: Outbox): Promise<void> {
    while (outbox.asked.length > 0) {
      const asked = outbox.asked.splice(0, markersPerRequestMax);
      const codes = await this.request(peers, outbox.address, asked);
      for (const one of asked) one.done(codes.get(one) ?? ErrorCode.NOT_LEADER_OR_FOLLOWER);
    }
    outbox.isSending = false;
    this.outboxes.delete(key);
  }

  /** Nothing for those that were not answered. */
  private async request(peers: Peers, to: PeerAddress, asked: readonly Asked[]): Promise<Map<Asked, number>> {
    const codes = new Map<Asked, number>();
    const byMarker = new Map<Marker, Asked[]>();
    for (const one of asked) byMarker.set(one.marker, [...(byMarker.get(one.marker) ?? []), one]);
    const groups = [...byMarker];
    const markers = groups.map(([marker, some]) => ({
      producerId: BigInt(marker.producerId),
      producerEpoch: marker.producerEpoch,
      transactionResult: marker.isCommit,
      coordinatorEpoch: marker.coordinatorEpoch,
      transactionVersion: marker.transactionVersion,
      topics: topicsOf(some),
    }));
    try {
      const options = { timeoutMs: shardRequestMsMax, lane: shardLane };
      const answer = await peers.request(to, ApiKey.WriteTxnMarkers, { markers }, options);
      for (const [marker, some] of groups) {
        // A producer has one marker at a time, and answers name producers only.
        const answered = answer.markers.find(({ producerId }) => Number(producerId) === marker.producerId);
        for (const one of some) {
          const topic = answered?.topics.find(({ name }) => name === one.topic);
          const code = topic?.partitions.find(({ partitionIndex }) => partitionIndex === one.index)?.errorCode;
          if (code !== undefined) codes.set(one, code);
        }
      }
    } catch {
      // The other broker is gone, or too busy: whoever waits asks again, wherever the partition is led by then.
    }
    return codes;
  }
}

function topicsOf(asked: readonly Asked[]): { name: string; partitionIndexes: number[] }[] {
  const byName = new Map<string, number[]>();
  for (const { index, topic } of asked) byName.set(topic, [...(byName.get(topic) ?? []), index]);
  return Array.from(byName, ([name, partitionIndexes]) => ({ name, partitionIndexes }));
}
