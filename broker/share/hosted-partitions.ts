// The share partitions that members of this broker's partitions use: made when first asked for, dropped when leadership moves, the topic goes, or their
// state was made anew (an administrator's reset).
import type { Uuid } from "@blumfeld/core/base";
import { type ShareKey, shareKeyText } from "@blumfeld/core/coordinator";
import type { BrokerParts } from "../parts.ts";
import { type HostedParts, HostedSharePartition } from "./hosted-partition.ts";

export class HostedSharePartitions {
  private readonly parts: HostedParts & Pick<BrokerParts, "partitions" | "metadata">;
  private readonly hosted = new Map<string, HostedSharePartition>();

  constructor(parts: HostedParts & Pick<BrokerParts, "partitions" | "metadata">) {
    this.parts = parts;
    parts.metadata.onImage((delta) => {
      if (delta.changedTopics.size === 0 && delta.removedTopics.length === 0) return;
      for (const [text, hosted] of this.hosted) if (!this.isCurrent(hosted)) this.drop(text, hosted);
    });
  }

  get size(): number {
    return this.hosted.size;
  }

  /** Null where this broker does not lead the partition. */
  get(key: ShareKey): HostedSharePartition | null {
    const text = shareKeyText(key);
    const found = this.hosted.get(text);
    if (found !== undefined) {
      if (this.isCurrent(found)) return found;
      this.drop(text, found);
    }
    const partition = this.parts.partitions.getById(key.topicId, key.partition);
    if (partition === null || !partition.isLeader || partition.log === null) return null;
    const hosted = new HostedSharePartition(key, partition, this.parts);
    this.hosted.set(text, hosted);
    void hosted.loaded.then(() => {
      // What could not be loaded is tried again with the next request.
      if (hosted.state === null && this.hosted.get(text) === hosted) this.drop(text, hosted);
    });
    return hosted;
  }

  /** Only what is there already. */
  existing(key: ShareKey): HostedSharePartition | null {
    return this.hosted.get(shareKeyText(key)) ?? null;
  }

  /** The state of these is made anew. */
  forget(groupId: string, topicIds: ReadonlySet<Uuid> | null): void {
    for (const [text, hosted] of this.hosted) {
      const { key } = hosted;
      if (key.groupId === groupId && (topicIds === null || topicIds.has(key.topicId))) this.drop(text, hosted);
    }
  }

  private drop(text: string, hosted: HostedSharePartition): void {
    this.hosted.delete(text);
    hosted.close();
  }

  private isCurrent({ partition, leaderEpoch, isClosed }: HostedSharePartition): boolean {
    return !isClosed && partition.isLeader && partition.leaderEpoch === leaderEpoch && partition.log !== null;
  }
}
