// The features of Kafka 4.3, their levels, what a new cluster gets, and what a level needs of other features.
import type { SupportedRange } from "./image/index.ts";
import { elrFeature, metadataVersionFeature, metadataVersions } from "./image/index.ts";

export const kraftVersionFeature = "kraft.version";

interface FeatureFact {
  readonly name: string;
  readonly levelMax: number;
  /** Level → the first metadata.version that a new cluster gets it with. */
  readonly defaultFrom: readonly (readonly [level: number, metadataVersion: number])[];
  /** The metadata.version without which a level above 0 cannot be. */
  readonly metadataVersionMin: number;
}

const facts: readonly FeatureFact[] = [
  { name: elrFeature, levelMax: 1, defaultFrom: [[1, 26]], metadataVersionMin: metadataVersions.elr },
  { name: "group.version", levelMax: 1, defaultFrom: [[1, 22]], metadataVersionMin: 0 },
  { name: kraftVersionFeature, levelMax: 1, defaultFrom: [[1, 21]], metadataVersionMin: 0 },
  { name: "share.version", levelMax: 1, defaultFrom: [[1, 28]], metadataVersionMin: 0 },
  { name: "streams.version", levelMax: 1, defaultFrom: [[1, 29]], metadataVersionMin: 0 },
  { name: "transaction.version", levelMax: 2, defaultFrom: [[2, 24]], metadataVersionMin: 0 },
];

/** What this code supports. The unstable metadata.version only where `unstable.feature.versions.enable` says so. */
export function supportedFeatures(isUnstableEnabled: boolean): ReadonlyMap<string, SupportedRange> {
  const metadataVersionMax = isUnstableEnabled ? metadataVersions.latest : metadataVersions.latestProduction;
  const ranges = new Map<string, SupportedRange>([
    [metadataVersionFeature, { minVersion: metadataVersions.oldest, maxVersion: metadataVersionMax }],
  ]);
  for (const fact of facts) ranges.set(fact.name, { minVersion: 0, maxVersion: fact.levelMax });
  return ranges;
}

/** The levels of a cluster that is formatted at `metadataVersion`, kraft.version left out; metadata.version first. */
export function featuresOfNewCluster(metadataVersion: number): ReadonlyMap<string, number> {
  const levels = new Map([[metadataVersionFeature, metadataVersion]]);
  for (const { name, defaultFrom } of facts) {
    if (name === kraftVersionFeature) continue;
    const level = defaultFrom.findLast(([, from]) => metadataVersion >= from)?.[0] ?? 0;
    if (level > 0) levels.set(name, level);
  }
  return levels;
}

/** Null where `level` of `feature` can be with `metadataVersion`; else the metadata.version that it needs. */
export function metadataVersionNeeded(feature: string, level: number, metadataVersion: number): number | null {
  const fact = facts.find(({ name }) => name === feature);
  if (fact === undefined || level === 0 || metadataVersion >= fact.metadataVersionMin) return null;
  return fact.metadataVersionMin;
}
