// The settings of share groups and of share partitions over the node's: read at each use, so that a dynamic change counts from then on.
import { configResourceType } from "@blumfeld/core/controller";
import type { SharePartitionLimits } from "@blumfeld/core/coordinator";
import { durationMs } from "@blumfeld/core/model/settings";
import type { BrokerParts } from "../parts.ts";

/** Where a group begins that has consumed nothing. */
export type ShareOffsetReset =
  | { readonly kind: "earliest" }
  | { readonly kind: "latest" }
  | { readonly kind: "duration"; readonly ms: number };

type Parts = Pick<BrokerParts, "cluster" | "metadata">;

export class ShareConfig {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  private ofGroup(groupId: string, name: string): string | undefined {
    return this.parts.metadata.image.configs.of(configResourceType.group, groupId).get(name);
  }

  private bounded(own: string | undefined, node: number, min: number, max: number): number {
    return own === undefined ? node : Math.min(Math.max(Number(own), min), max);
  }

  limits(groupId: string): SharePartitionLimits {
    const { settings } = this.parts.cluster;
    return {
      recordLockCountMax: this.bounded(
        this.ofGroup(groupId, "share.partition.max.record.locks"),
        settings.get("group.share.partition.max.record.locks"),
        settings.get("group.share.min.partition.max.record.locks"),
        settings.get("group.share.max.partition.max.record.locks"),
      ),
      recordLockMs: this.bounded(
        this.ofGroup(groupId, "share.record.lock.duration.ms"),
        settings.get("group.share.record.lock.duration.ms"),
        settings.get("group.share.min.record.lock.duration.ms"),
        settings.get("group.share.max.record.lock.duration.ms"),
      ),
      deliveryCountMax: this.bounded(
        this.ofGroup(groupId, "share.delivery.count.limit"),
        settings.get("group.share.delivery.count.limit"),
        settings.get("group.share.min.delivery.count.limit"),
        settings.get("group.share.max.delivery.count.limit"),
      ),
    };
  }

  offsetReset(groupId: string): ShareOffsetReset {
    const text = this.ofGroup(groupId, "share.auto.offset.reset") ?? "latest";
    if (text === "earliest" || text === "latest") return { kind: text };
    return { kind: "duration", ms: durationMs(text.slice(text.indexOf(":") + 1)) ?? 0 };
  }

  isReadCommitted(groupId: string): boolean {
    return this.ofGroup(groupId, "share.isolation.level") === "read_committed";
  }

  mayRenew(groupId: string): boolean {
    return this.ofGroup(groupId, "share.renew.acknowledge.enable") !== "false";
  }

  get sessionCountMax(): number {
    return this.parts.cluster.settings.get("group.share.max.share.sessions");
  }

  get updateRecordsPerSnapshot(): number {
    return this.parts.cluster.settings.get("share.coordinator.snapshot.update.records.per.snapshot");
  }
}
