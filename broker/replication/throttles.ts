// The two throttles of replication (KIP-73): what leaders of this broker send to throttled replicas, and what its own throttled replicas fetch. Replicas
// in sync are never held back; only those that catch up are, so that they leave the disks and the network to clients.
import type { Clock } from "@blumfeld/core/base";
import type { MetadataImage } from "@blumfeld/core/controller";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { isReplicaThrottled, ReplicationThrottle } from "@blumfeld/core/replication";
import type { Partition } from "../partition/partition.ts";

export type ThrottleSide = "leader" | "follower";

export interface ThrottlesParts {
  readonly nodeId: number;
  readonly settings: BrokerSettings;
  readonly image: () => MetadataImage;
  readonly clock: Clock;
}

export class Throttles {
  private readonly parts: ThrottlesParts;
  private readonly rates = { leader: new ReplicationThrottle(), follower: new ReplicationThrottle() };

  constructor(parts: ThrottlesParts) {
    this.parts = parts;
  }

  /** Whether the topic's settings name this broker's replica of the partition. */
  private isThrottled(side: ThrottleSide, { index, topic }: Partition): boolean {
    const texts = this.parts.image().configs.topic(topic);
    const text =
      side === "leader"
        ? texts.get("leader.replication.throttled.replicas")
        : texts.get("follower.replication.throttled.replicas");
    if (text === undefined || text === "") return false;
    const list = text.split(",").map((entry) => entry.trim());
    return isReplicaThrottled(list, index, this.parts.nodeId);
  }

  isHeldBack(side: ThrottleSide, partition: Partition): boolean {
    const { clock, settings } = this.parts;
    const rate = this.rates[side];
    rate.bytesPerSecondMax = Number(
      side === "leader"
        ? settings.get("leader.replication.throttled.rate")
        : settings.get("follower.replication.throttled.rate"),
    );
    return this.isThrottled(side, partition) && rate.isExceeded(clock.monotonicMs());
  }

  record(side: ThrottleSide, partition: Partition, bytes: number): void {
    if (bytes > 0 && this.isThrottled(side, partition)) this.rates[side].record(bytes, this.parts.clock.monotonicMs());
  }
}
