// Sees a decided transaction to its end: a marker into each of its partitions, again where that fails and may succeed later, then the coordinator's
// own record that it is complete. Partitions of other brokers get theirs through RemoteMarkers. Ends early where the coordinator's shard is no longer this broker's: its next leader begins anew.
import type { Transaction } from "@blumfeld/core/coordinator";
import { ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { RemoteMarkers } from "./remote-markers.ts";
import { type AddressParts, addressOfPartition } from "./shard-address.ts";
import type { Marker, TransactionMarkers } from "./transaction-markers.ts";

/** Between two attempts at a partition that cannot take a marker now. */
export const markerRetryMs = 100;

/** The shard that decided. */
export interface DecidingShard {
  /** False once the shard has moved or closed. */
  isWanted(): boolean;
  complete(done: (errorCode: number) => void): void;
}

type Parts = AddressParts & Pick<BrokerParts, "timers" | "logger">;

export class MarkerSender {
  private readonly parts: Parts;
  private readonly markers: TransactionMarkers;
  private readonly remote: RemoteMarkers;

  constructor(parts: Parts, markers: TransactionMarkers) {
    this.parts = parts;
    this.markers = markers;
    this.remote = new RemoteMarkers(parts.timers);
  }

  send(transaction: Transaction, coordinatorEpoch: number, shard: DecidingShard): void {
    const { clientVersion, partitions, producerEpoch, producerId, state } = transaction;
    const marker: Marker = {
      producerId: Number(producerId),
      producerEpoch,
      coordinatorEpoch,
      isCommit: state === "PrepareCommit",
      transactionVersion: clientVersion,
    };
    // One more than there are partitions, so that the end comes once, and after all have begun.
    let left = 1;
    const onWritten = (): void => {
      left--;
      if (left === 0) this.complete(shard);
    };
    for (const [topic, indexes] of partitions) {
      for (const index of indexes) {
        left++;
        this.write(marker, topic, index, shard, onWritten);
      }
    }
    onWritten();
  }

  private write(marker: Marker, topic: string, index: number, shard: DecidingShard, onWritten: () => void): void {
    if (!shard.isWanted()) return;
    // Deleted since: there is nothing to end any more.
    if (this.parts.metadata.image.topics.partition(topic, index) === undefined) return onWritten();
    const done = (errorCode: number): void => {
      switch (errorCode) {
        case ErrorCode.NONE:
          return onWritten();
        case ErrorCode.INVALID_PRODUCER_EPOCH:
        case ErrorCode.TRANSACTION_COORDINATOR_FENCED:
          this.parts.logger.error(
            { topic, partition: index, producerId: marker.producerId, producerEpoch: marker.producerEpoch },
            `a transaction cannot be ended: ${errorOf(errorCode).name}; another coordinator has taken over`,
          );
          return;
        default:
          this.parts.timers.after(markerRetryMs, () => this.write(marker, topic, index, shard, onWritten));
      }
    };
    // Looked up at each attempt: the partition's leader may be another one by then.
    const at = addressOfPartition(this.parts, topic, index);
    if (at === "here") this.markers.write(marker, topic, index, done);
    else this.remote.write(at.peers, at.address, { marker, topic, index, done });
  }

  private complete(shard: DecidingShard): void {
    if (!shard.isWanted()) return;
    shard.complete((errorCode) => {
      if (errorCode === ErrorCode.NONE) return;
      this.parts.timers.after(markerRetryMs, () => this.complete(shard));
    });
  }
}
