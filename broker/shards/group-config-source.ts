// The groups' settings over the node's: read at each use, so that a dynamic change counts from the next request on.
import { configResourceType } from "@blumfeld/core/controller";
import type { ConsumerMigrationPolicy, GroupConfig } from "@blumfeld/core/coordinator";
import type { BrokerParts } from "../parts.ts";
import { streamsConfigFrom } from "./streams-config-source.ts";

const minuteMs = 60_000;
/** The level of the feature group.version that has consumer groups. */
const consumerGroupVersion = 1;
/** The level of the feature share.version that has share groups. */
const shareGroupVersion = 1;

export function groupConfigFrom(parts: Pick<BrokerParts, "cluster" | "metadata">): GroupConfig {
  const { settings } = parts.cluster;
  const timeOf = (name: string): number => settings.get(name as "group.consumer.session.timeout.ms");
  /** The node's, or the group's own within the node's bounds. Each heartbeat asks, and few groups have their own. */
  const bounded = (groupId: string, name: string, own: string, min: string, max: string): number => {
    const text = parts.metadata.image.configs.of(configResourceType.group, groupId).get(own);
    return text === undefined ? timeOf(name) : Math.min(Math.max(Number(text), timeOf(min)), timeOf(max));
  };
  return {
    get offsetMetadataLengthMax() {
      return settings.get("offset.metadata.max.bytes");
    },
    get offsetsRetentionMs() {
      return settings.get("offsets.retention.minutes") * minuteMs;
    },
    get offsetsRetentionCheckIntervalMs() {
      return settings.get("offsets.retention.check.interval.ms");
    },
    get classic() {
      return {
        sessionTimeoutMsMin: settings.get("group.min.session.timeout.ms"),
        sessionTimeoutMsMax: settings.get("group.max.session.timeout.ms"),
        initialRebalanceDelayMs: settings.get("group.initial.rebalance.delay.ms"),
        memberCountMax: settings.get("group.max.size"),
      };
    },
    get consumerMemberCountMax() {
      return settings.get("group.consumer.max.size");
    },
    get consumerAssignors() {
      return settings.get("group.consumer.assignors").map(assignorName);
    },
    get consumerMigrationPolicy() {
      return settings.get("group.consumer.migration.policy").toLowerCase() as ConsumerMigrationPolicy;
    },
    get isConsumerProtocolEnabled() {
      const isOffered = settings.get("group.coordinator.rebalance.protocols").includes("consumer");
      return isOffered && parts.metadata.image.features.level("group.version") >= consumerGroupVersion;
    },
    get shareMemberCountMax() {
      return settings.get("group.share.max.size");
    },
    get isShareProtocolEnabled() {
      return parts.metadata.image.features.level("share.version") >= shareGroupVersion;
    },
    shareGroup(groupId) {
      return {
        sessionTimeoutMs: bounded(
          groupId,
          "group.share.session.timeout.ms",
          "share.session.timeout.ms",
          "group.share.min.session.timeout.ms",
          "group.share.max.session.timeout.ms",
        ),
        heartbeatIntervalMs: bounded(
          groupId,
          "group.share.heartbeat.interval.ms",
          "share.heartbeat.interval.ms",
          "group.share.min.heartbeat.interval.ms",
          "group.share.max.heartbeat.interval.ms",
        ),
        assignmentIntervalMs: bounded(
          groupId,
          "group.share.assignment.interval.ms",
          "share.assignment.interval.ms",
          "group.share.min.assignment.interval.ms",
          "group.share.max.assignment.interval.ms",
        ),
      };
    },
    streams: streamsConfigFrom(parts),
    consumerGroup(groupId) {
      return {
        sessionTimeoutMs: bounded(
          groupId,
          "group.consumer.session.timeout.ms",
          "consumer.session.timeout.ms",
          "group.consumer.min.session.timeout.ms",
          "group.consumer.max.session.timeout.ms",
        ),
        heartbeatIntervalMs: bounded(
          groupId,
          "group.consumer.heartbeat.interval.ms",
          "consumer.heartbeat.interval.ms",
          "group.consumer.min.heartbeat.interval.ms",
          "group.consumer.max.heartbeat.interval.ms",
        ),
        assignmentIntervalMs: bounded(
          groupId,
          "group.consumer.assignment.interval.ms",
          "consumer.assignment.interval.ms",
          "group.consumer.min.assignment.interval.ms",
          "group.consumer.max.assignment.interval.ms",
        ),
      };
    },
  };
}

/** Kafka's classes may be named in full; their short names are the protocol's. */
function assignorName(name: string): string {
  const simple = /(\w+)Assignor$/.exec(name)?.[1];
  return simple === undefined ? name : simple.toLowerCase();
}
