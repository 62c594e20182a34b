// The settings of share groups and of share partitions over the node's: read at each use, so that a dynamic change counts from then on.
import { configResourceType } from "@blumfeld/core/controller";
import type { SharePartitionLimits } from "@blumfeld/core/coordinator";
import { topicNameProblem } from "@blumfeld/core/model";
import { durationMs, topicSettingsOf } from "@blumfeld/core/model/settings";
import type { BrokerParts } from "../parts.ts";

/** Where a group begins that has consumed nothing. */
export type ShareOffsetReset =
  | { readonly kind: "earliest" }
  | { readonly kind: "latest" }
  | { readonly kind: "duration"; readonly ms: number };

export interface DeadLetterTarget {
  readonly topic: string;
  /** With the record's key and value, and not only with where it is. */
  readonly isCopied: boolean;
  /** It is to be made first. */
  readonly isMissing: boolean;
  readonly batchBytesMax: number;
  /** Why nothing may be written there. */
  readonly problem: string | null;
}

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
      hasDeadLetters:
        this.ofGroup(groupId, "errors.deadletterqueue.topic.name") !== undefined && this.mayWrite(groupId),
    };
  }

  private mayWrite(groupId: string): boolean {
    return this.deadLetters(groupId).problem === null;
  }

  /** Where the group's dead letters go. They are the broker's to write, whoever caused them, so the topic has to have agreed to them. */
  deadLetters(groupId: string): DeadLetterTarget {
    const { settings } = this.parts.cluster;
    const { configs, topics } = this.parts.metadata.image;
    const topic = this.ofGroup(groupId, "errors.deadletterqueue.topic.name") ?? "";
    const isCopied = this.ofGroup(groupId, "errors.deadletterqueue.copy.record.enable") === "true";
    const isMissing = topics.get(topic) === undefined;
    const own = configs.of(configResourceType.topic, topic);
    const prefix = settings.get("errors.deadletterqueue.topic.name.prefix");
    const target = { topic, isCopied, isMissing, batchBytesMax: 0 };
    if (topic === "") return { ...target, problem: "the group names no dead-letter topic" };
    const nameProblem = topicNameProblem(topic);
    if (nameProblem !== null) return { ...target, problem: nameProblem };
    if (topic.startsWith("__")) return { ...target, problem: "dead letters do not go into internal topics" };
    const ofTopic = topicSettingsOf(settings, own);
    if (!isMissing && !ofTopic.get("errors.deadletterqueue.group.enable"))
      return { ...target, problem: "the topic takes no dead letters: errors.deadletterqueue.group.enable is off" };
    if (!topic.startsWith(prefix))
      return { ...target, problem: `its name does not begin with errors.deadletterqueue.topic.name.prefix=${prefix}` };
    if (isMissing && !settings.get("errors.deadletterqueue.auto.create.topics.enable"))
      return {
        ...target,
        problem: "there is no such topic, and errors.deadletterqueue.auto.create.topics.enable is off",
      };
    return { ...target, batchBytesMax: ofTopic.get("max.message.bytes"), problem: null };
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
