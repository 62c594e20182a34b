// What partitions need of whoever replicates them: what is known of the other brokers, and the ways to the controller and to leaders.
import type { Uuid } from "@blumfeld/core/base";
import type { IsrWish, ReplicaMembership } from "@blumfeld/core/replication";
import type { Partition } from "./partition.ts";

export interface PartitionReplication {
  readonly membership: ReplicaMembership;
  /** replica.lag.time.max.ms */
  readonly lagMsMax: () => number;
  /** Of this broker's own registration. */
  readonly localBrokerEpoch: () => number;
  /** A leader asks the controller for other in-sync replicas; its partition hears the answer. */
  alterIsr(partition: Partition, wish: IsrWish): void;
  /** The metadata has said something of the partition: who leads it, in which epoch, and in which directory this replica lies. */
  onPartition(partition: Partition, directoryId: Uuid | undefined): void;
  /** The log directory of this broker with the id; null where it has none such. */
  directoryOf(directoryId: Uuid): string | null;
  /** It is gone from this broker. */
  onRemoved(partition: Partition): void;
}

/** A broker without peers: it follows nobody, and nobody follows it. */
export const noReplication: PartitionReplication = {
  membership: { isFenced: () => false, isLeaving: () => false, brokerEpochOf: () => null },
  lagMsMax: () => Number.POSITIVE_INFINITY,
  localBrokerEpoch: () => -1,
  alterIsr() {},
  onPartition() {},
  directoryOf: () => null,
  onRemoved() {},
};
