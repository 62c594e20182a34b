// The settings that groups act on, typed and in units. Functions, not values: most of them can change while the node runs.

import { type StreamsConfig, streamsConfigDefaults } from "../streams/streams-config.ts";

export interface ClassicGroupConfig {
  readonly sessionTimeoutMsMin: number;
  readonly sessionTimeoutMsMax: number;
  readonly initialRebalanceDelayMs: number;
  readonly memberCountMax: number;
}

export type ConsumerMigrationPolicy = "disabled" | "upgrade" | "downgrade" | "bidirectional";

export interface ConsumerGroupConfig {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly assignmentIntervalMs: number;
}

export interface ShareGroupConfig {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly assignmentIntervalMs: number;
}

export interface GroupConfig {
  readonly offsetMetadataLengthMax: number;
  readonly offsetsRetentionMs: number;
  readonly offsetsRetentionCheckIntervalMs: number;
  readonly classic: ClassicGroupConfig;
  readonly consumerMemberCountMax: number;
  /** Names of server-side assignors, the default first. */
  readonly consumerAssignors: readonly string[];
  readonly consumerMigrationPolicy: ConsumerMigrationPolicy;
  /** `group.coordinator.rebalance.protocols` together with the feature group.version. */
  readonly isConsumerProtocolEnabled: boolean;
  /** A consumer group's own settings, within the broker's bounds. */
  consumerGroup(groupId: string): ConsumerGroupConfig;
  readonly streams: StreamsConfig;
  readonly shareMemberCountMax: number;
  /** The feature share.version. */
  readonly isShareProtocolEnabled: boolean;
  /** A share group's own settings, within the broker's bounds. */
  shareGroup(groupId: string): ShareGroupConfig;
}

export const groupConfigDefaults: GroupConfig = {
  offsetMetadataLengthMax: 4096,
  offsetsRetentionMs: 7 * 24 * 60 * 60 * 1000,
  offsetsRetentionCheckIntervalMs: 600_000,
  classic: {
    sessionTimeoutMsMin: 6000,
    sessionTimeoutMsMax: 1_800_000,
    initialRebalanceDelayMs: 3000,
    memberCountMax: 0x7fff_ffff,
  },
  consumerMemberCountMax: 0x7fff_ffff,
  consumerAssignors: ["uniform", "range"],
  consumerMigrationPolicy: "bidirectional",
  isConsumerProtocolEnabled: true,
  consumerGroup: () => ({ sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000, assignmentIntervalMs: 1000 }),
  streams: streamsConfigDefaults,
  shareMemberCountMax: 200,
  isShareProtocolEnabled: true,
  shareGroup: () => ({ sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000, assignmentIntervalMs: 1000 }),
};

/** A new member that waits for its first join to end is given up after this: it cannot send heartbeats yet. Kafka's fixed value. */
export const newMemberJoinTimeoutMs = 5 * 60 * 1000;
/** Members of one group that were given an id and have not joined with it. Each goes after its session timeout. */
export const pendingMemberCountMax = 10_000;
