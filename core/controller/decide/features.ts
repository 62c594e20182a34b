// UpdateFeatures: levels up, levels down where nothing is lost by it. One wrong update refuses all of them.
import {
  ErrorCode,
  type MetadataRecordInit,
  type UpdateFeaturesRequest,
  type UpdateFeaturesResponseInit,
} from "../../protocol/index.ts";
import { kraftVersionFeature, metadataVersionNeeded } from "../features-table.ts";
import {
  configResourceType,
  elrFeature,
  type MetadataImage,
  metadataChangedBetween,
  metadataVersionFeature,
  metadataVersionName,
  type SupportedRange,
} from "../image/index.ts";
import { type DecideContext, type Decision, decisionOf } from "./decision.ts";

export { kraftVersionFeature } from "../features-table.ts";

/** Kafka's numbers of the kinds of update. */
export const upgradeType = { unknown: 0, upgrade: 1, safeDowngrade: 2, unsafeDowngrade: 3 } as const;

export function updateFeatures(
  context: DecideContext,
  request: UpdateFeaturesRequest,
): Decision<UpdateFeaturesResponseInit> {
  const records: MetadataRecordInit[] = [];
  const levels = new Map(context.image.features.finalized);
  for (const update of request.featureUpdates) levels.set(update.feature, update.maxVersionLevel);
  for (const update of request.featureUpdates) {
    // Version 0 has a flag in place of the type.
    const type = update.allowDowngrade ? upgradeType.safeDowngrade : update.upgradeType;
    const problem = updateProblem(context, levels, update.feature, update.maxVersionLevel, type);
    if (problem !== null) {
      const message = `Invalid update version ${update.maxVersionLevel} for feature ${update.feature}. ${problem}`;
      const errorMessage = `No feature was updated, because one update is wrong: ${message}`;
      return decisionOf({ throttleTimeMs: 0, errorCode: ErrorCode.INVALID_UPDATE_VERSION, errorMessage, results: [] });
    }
    if (update.maxVersionLevel === currentLevel(context, update.feature)) continue;
    const value = { name: update.feature, featureLevel: update.maxVersionLevel };
    records.push({ type: "FeatureLevelRecord", version: 0, value });
    if (update.feature === elrFeature && update.maxVersionLevel > 0) records.push(...isrFloorRecords(context));
  }
  const results = request.featureUpdates.map(({ feature }) => ({
    feature,
    errorCode: ErrorCode.NONE,
    errorMessage: null,
  }));
  return decisionOf(
    { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: null, results },
    request.validateOnly ? [] : records,
  );
}

/**
 * With eligible leader replicas the cluster itself has a floor for the ISR, and brokers have none of their own (KIP-966): the floor in
 * force is written down when the feature begins.
 */
export function isrFloorRecords(context: Pick<DecideContext, "image" | "settings">): MetadataRecordInit[] {
  const { image, settings } = context;
  const name = "min.insync.replicas";
  const record = (resourceName: string, value: string | null): MetadataRecordInit => ({
    type: "ConfigRecord",
    version: 0,
    value: { resourceType: configResourceType.broker, resourceName, name, value },
  });
  const records: MetadataRecordInit[] = [];
  if (!image.configs.broker("").has(name)) records.push(record("", String(settings.given.get(name))));
  for (const broker of image.configs.names(configResourceType.broker)) {
    if (broker !== "" && image.configs.broker(broker).has(name)) records.push(record(broker, null));
  }
  return records;
}

function currentLevel(context: DecideContext, feature: string): number {
  return feature === kraftVersionFeature ? context.kraftVersion : context.image.features.level(feature);
}

function updateProblem(
  context: DecideContext,
  levels: ReadonlyMap<string, number>,
  feature: string,
  level: number,
  type: number,
): string | null {
  if (type !== upgradeType.upgrade && type !== upgradeType.safeDowngrade && type !== upgradeType.unsafeDowngrade) {
    return "The controller does not know the upgrade type.";
  }
  if (level < 0) return "A level cannot be below 0.";
  const unsupported = unsupportedReason(context, feature, level);
  if (unsupported !== null) return unsupported;
  const current = currentLevel(context, feature);
  if (level < current && type === upgradeType.upgrade) {
    return "It would be a downgrade, which must be asked for as a safe or an unsafe one.";
  }
  if (level > current && type !== upgradeType.upgrade) return "It would be an upgrade, but a downgrade is asked for.";
  if (feature === kraftVersionFeature) return level === current ? null : kraftVersionProblem(level, current);
  if (feature === metadataVersionFeature) return metadataVersionProblem(context.image, levels, level, type);
  const metadataVersion = levels.get(metadataVersionFeature) ?? 0;
  const needed = metadataVersionNeeded(feature, level, metadataVersion);
  return needed === null
    ? null
    : `It needs metadata.version ${needed} (${metadataVersionName(needed)}); the cluster has ${metadataVersion}.`;
}

function unsupportedReason(context: DecideContext, feature: string, level: number): string | null {
  const outside = (range: SupportedRange | undefined, who: string): string | null => {
    if (range === undefined) return level === 0 ? null : `${who} does not support this feature.`;
    if (level === 0 && range.minVersion > 0 && feature !== metadataVersionFeature) return null;
    if (level >= range.minVersion && level <= range.maxVersion) return null;
    return `${who} only supports versions ${range.minVersion}-${range.maxVersion}`;
  };
  const local = context.supportedFeatures.get(feature);
  if (local === undefined) return `Local controller ${context.nodeId} does not support this feature.`;
  const reason = outside(local, `Local controller ${context.nodeId}`);
  if (reason !== null) return reason;
  for (const broker of context.image.cluster.brokers.values()) {
    const other = outside(broker.supportedFeatures.get(feature), `Broker ${broker.id}`);
    if (other !== null) return other;
  }
  return null;
}

function kraftVersionProblem(level: number, current: number): string {
  if (level < current) return "kraft.version cannot be lowered.";
  return "The quorum's voters must first be known by directory: format a new node with kraft.version 1.";
}

function metadataVersionProblem(
  image: MetadataImage,
  levels: ReadonlyMap<string, number>,
  level: number,
  type: number,
): string | null {
  const current = image.features.metadataVersion;
  if (level < current && metadataChangedBetween(current, level)) {
    return type === upgradeType.unsafeDowngrade
      ? "An unsafe downgrade of metadata.version is not supported."
      : "The downgrade might lose metadata and is refused.";
  }
  for (const [feature, other] of levels) {
    const needed = metadataVersionNeeded(feature, other, level);
    if (needed !== null) return `${feature} at level ${other} needs metadata.version ${needed} or above.`;
  }
  return null;
}
