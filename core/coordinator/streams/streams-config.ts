// The settings that streams groups act on.

export interface StreamsGroupConfig {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly assignmentIntervalMs: number;
  /** How long the members of a group that was empty are gathered before tasks are given out. */
  readonly initialRebalanceDelayMs: number;
  readonly standbyReplicaCount: number;
}

export interface StreamsConfig {
  /** `group.coordinator.rebalance.protocols` together with the feature streams.version. */
  readonly isEnabled: boolean;
  readonly memberCountMax: number;
  /** A group's own settings, within the broker's bounds. */
  group(groupId: string): StreamsGroupConfig;
}

export const streamsConfigDefaults: StreamsConfig = {
  isEnabled: true,
  memberCountMax: 0x7fff_ffff,
  group: () => ({
    sessionTimeoutMs: 45_000,
    heartbeatIntervalMs: 5000,
    assignmentIntervalMs: 1000,
    initialRebalanceDelayMs: 3000,
    standbyReplicaCount: 0,
  }),
};

/** Subtopologies of one application. */
export const subtopologyCountMax = 1000;
/** Topics that one application names, each as often as it names it. */
export const topologyTopicCountMax = 10_000;
/** Tasks of one group: subtopologies times partitions, standby copies left out. */
export const streamsTaskCountMax = 100_000;
