// Which version of each record a finalized metadata.version allows, and what else a level brings. Kafka 4.3's MetadataVersion.

/** The levels that something begins at, by what begins. */
export const metadataVersions = {
  /** 3.3-IV3, the oldest that a 4.x cluster can have. */
  oldest: 7,
  scram: 11,
  /** Until this level a smaller ISR alone bumps the leader epoch. */
  noEpochBumpOnIsrShrink: 12,
  transactions: 13,
  delegationTokens: 14,
  controllerRegistration: 15,
  /** JBOD: replicas have directories. */
  directories: 17,
  elr: 23,
  cordonedDirectories: 30,
  /** 4.3-IV0. */
  latestProduction: 30,
  /** 4.4-IV0. */
  latest: 31,
} as const;

/** Kafka's name of each level from 7 on. */
export const metadataVersionNames: readonly string[] = [
  ...["3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1"],
  ...["3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0"],
  ...["4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0", "4.4-IV0"],
];

export function metadataVersionName(level: number): string {
  return metadataVersionNames[level - metadataVersions.oldest] ?? `level ${level}`;
}

/** Levels whose own changes touched the metadata format: going below one of them loses metadata. */
const metadataChangedAt: readonly number[] = [7, 8, 11, 13, 14, 15, 17, 23, 30];

/** Whether a downgrade from `from` to `to` would lose something that the metadata holds. */
export function metadataChangedBetween(from: number, to: number): boolean {
  return metadataChangedAt.some((level) => level > to && level <= from);
}

export function registerBrokerVersion(metadataVersion: number): number {
  if (metadataVersion >= metadataVersions.cordonedDirectories) return 4;
  if (metadataVersion >= metadataVersions.directories) return 3;
  return metadataVersion >= 8 ? 2 : 1;
}

export function partitionVersion(metadataVersion: number): number {
  if (metadataVersion >= metadataVersions.elr) return 2;
  return metadataVersion >= metadataVersions.directories ? 1 : 0;
}

export const partitionChangeVersion = partitionVersion;
