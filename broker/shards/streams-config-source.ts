// The settings of streams groups over the node's: read at each use, so that a dynamic change counts from the next request on.
import { configResourceType } from "@blumfeld/core/controller";
import type { StreamsConfig } from "@blumfeld/core/coordinator";
import type { BrokerParts } from "../parts.ts";

/** The level of the feature streams.version that has streams groups. */
const streamsGroupVersion = 1;

export function streamsConfigFrom(parts: Pick<BrokerParts, "cluster" | "metadata">): StreamsConfig {
  const { settings } = parts.cluster;
  return {
    get isEnabled() {
      const isOffered = settings.get("group.coordinator.rebalance.protocols").includes("streams");
      return isOffered && parts.metadata.image.features.level("streams.version") >= streamsGroupVersion;
    },
    get memberCountMax() {
      return settings.get("group.streams.max.size");
    },
    group(groupId) {
      const own = parts.metadata.image.configs.of(configResourceType.group, groupId);
      const bounded = (name: string, otherwise: number, min: number, max: number): number => {
        const text = own.get(name);
        return text === undefined ? otherwise : Math.min(Math.max(Number(text), min), max);
      };
      return {
        sessionTimeoutMs: bounded(
          "streams.session.timeout.ms",
          settings.get("group.streams.session.timeout.ms"),
          settings.get("group.streams.min.session.timeout.ms"),
          settings.get("group.streams.max.session.timeout.ms"),
        ),
        heartbeatIntervalMs: bounded(
          "streams.heartbeat.interval.ms",
          settings.get("group.streams.heartbeat.interval.ms"),
          settings.get("group.streams.min.heartbeat.interval.ms"),
          settings.get("group.streams.max.heartbeat.interval.ms"),
        ),
        assignmentIntervalMs: bounded(
          "streams.assignment.interval.ms",
          settings.get("group.streams.assignment.interval.ms"),
          settings.get("group.streams.min.assignment.interval.ms"),
          settings.get("group.streams.max.assignment.interval.ms"),
        ),
        initialRebalanceDelayMs: bounded(
          "streams.initial.rebalance.delay.ms",
          settings.get("group.streams.initial.rebalance.delay.ms"),
          0,
          Number.MAX_SAFE_INTEGER,
        ),
        standbyReplicaCount: bounded(
          "streams.num.standby.replicas",
          settings.get("group.streams.num.standby.replicas"),
          0,
          settings.get("group.streams.max.standby.replicas"),
        ),
      };
    },
  };
}
