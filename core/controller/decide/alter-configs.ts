// AlterConfigs and IncrementalAlterConfigs, and the settings of new topics: what exists, what its values may be, what must be written.
import {
  checkDynamicBrokerSettings,
  checkGroupSettings,
  checkTopicSettings,
  definitionOf,
  describeGroupSetting,
  describeTopicSetting,
  dynamicBrokerDefinitions,
  groupDefinitions,
  type SettingProblem,
  topicDefinitions,
} from "../../model/settings/index.ts";
import { ErrorCode, type MetadataRecordInit } from "../../protocol/index.ts";
import { type ConfigResource, configResourceType } from "../image/index.ts";
import {
  checkClientMetricsSettings,
  clientMetricsDefaults,
  clientMetricsListNames,
} from "./client-metrics-settings.ts";
import type { DecideContext, Decision, Refusal } from "./decision.ts";
import { decisionOf, refusal } from "./decision.ts";

/** Kafka's numbers of what may be done to a setting. */
export const alterOperation = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

export interface SettingChange {
  readonly name: string;
  readonly operation: number;
  readonly value: string | null;
}

export interface ResourceAnswer extends Refusal {
  readonly resourceType: number;
  readonly resourceName: string;
}

const minInsyncReplicas = "min.insync.replicas";

export function incrementalAlterConfigs(
  context: DecideContext,
  resources: readonly (ConfigResource & { readonly changes: readonly SettingChange[] })[],
  validateOnly: boolean,
): Decision<readonly ResourceAnswer[]> {
  return alterEach(resources, validateOnly, ({ changes, ...resource }) => {
    const before = context.image.configs.of(resource.type, resource.name);
    const after = new Map(before);
    const seen = new Set<string>();
    for (const change of changes) {
      if (seen.has(change.name))
        return refusal(ErrorCode.INVALID_REQUEST, `Duplicate setting in one resource: ${change.name}`);
      seen.add(change.name);
      const problem = applyChange(context, resource, after, change);
      if (problem !== null) return problem;
    }
    return decideResource(context, resource, before, after, seen);
  });
}

/** Replaces all settings of each resource: what is not named goes. */
export function alterConfigs(
  context: DecideContext,
  resources: readonly (ConfigResource & { readonly settings: readonly { name: string; value: string | null }[] })[],
  validateOnly: boolean,
): Decision<readonly ResourceAnswer[]> {
  return alterEach(resources, validateOnly, ({ settings, ...resource }) => {
    const before = context.image.configs.of(resource.type, resource.name);
    const after = new Map<string, string>();
    for (const { name, value } of settings) {
      if (after.has(name)) return refusal(ErrorCode.INVALID_REQUEST, `Duplicate setting in one resource: ${name}`);
      if (value === null) return nullValue(name);
      after.set(name, value);
    }
    // The cluster's own floor for the ISR stays: leaving it out of a list is not asking for its removal.
    const floor = before.get(minInsyncReplicas);
    const isFloor = resource.type === configResourceType.broker && context.image.features.isElrEnabled;
    if (isFloor && floor !== undefined && !after.has(minInsyncReplicas)) after.set(minInsyncReplicas, floor);
    return decideResource(context, resource, before, after, new Set(after.keys()));
  });
}

function alterEach<Resource extends ConfigResource>(
  resources: readonly Resource[],
  validateOnly: boolean,
  alter: (resource: Resource) => { readonly records: readonly MetadataRecordInit[] } | Refusal,
): Decision<readonly ResourceAnswer[]> {
  const records: MetadataRecordInit[] = [];
  const counts = new Map<string, number>();
  const key = ({ type, name }: ConfigResource): string => `${type}:${name}`;
  for (const resource of resources) counts.set(key(resource), (counts.get(key(resource)) ?? 0) + 1);
  const answers: ResourceAnswer[] = [];
  for (const resource of resources) {
    const named = { resourceType: resource.type, resourceName: resource.name };
    const count = counts.get(key(resource))!;
    if (count === 0) continue;
    if (count > 1) {
      counts.set(key(resource), 0);
      answers.push({
        ...named,
        ...refusal(ErrorCode.INVALID_REQUEST, "The request has this resource more than once."),
      });
      continue;
    }
    const outcome = alter(resource);
    if ("errorCode" in outcome) {
      answers.push({ ...named, ...outcome });
      continue;
    }
    records.push(...outcome.records);
    answers.push({ ...named, ...refusal(ErrorCode.NONE, null) });
  }
  return decisionOf(answers, validateOnly ? [] : records);
}

function nullValue(name: string): Refusal {
  return refusal(ErrorCode.INVALID_REQUEST, `Null value not supported for : ${name}`);
}

function applyChange(
  context: DecideContext,
  resource: ConfigResource,
  settings: Map<string, string>,
  { name, operation, value }: SettingChange,
): Refusal | null {
  if (operation === alterOperation.delete) {
    settings.delete(name);
    return null;
  }
  if (value === null) return nullValue(name);
  if (operation === alterOperation.set) {
    settings.set(name, value);
    return null;
  }
  if (operation !== alterOperation.append && operation !== alterOperation.subtract) {
    return refusal(ErrorCode.INVALID_REQUEST, `Unknown operation ${operation} for ${name}; 0 to 3 are known.`);
  }
  const isAppend = operation === alterOperation.append;
  if (!isList(resource.type, name)) {
    return refusal(
      ErrorCode.INVALID_CONFIG,
      `Can't ${isAppend ? "APPEND" : "SUBTRACT"} to ${name}: its type is not LIST.`,
    );
  }
  const items = (settings.get(name) ?? inheritedText(context, resource, name) ?? "")
    .split(",")
    .filter((item) => item !== "");
  const named = value.split(",");
  const changed = isAppend
    ? [...items, ...named.filter((item) => !items.includes(item))]
    : items.filter((item) => !named.includes(item));
  settings.set(name, changed.join(","));
  return null;
}

function isList(resourceType: number, name: string): boolean {
  switch (resourceType) {
    case configResourceType.topic:
      return definitionOf(topicDefinitions, name)?.type === "LIST";
    case configResourceType.broker:
      return definitionOf(dynamicBrokerDefinitions, name)?.type === "LIST";
    case configResourceType.group:
      return definitionOf(groupDefinitions, name)?.type === "LIST";
    default:
      return clientMetricsListNames.has(name);
  }
}

/** What a list begins from where the resource itself has none. */
function inheritedText(context: DecideContext, resource: ConfigResource, name: string): string | null {
  const none = new Map<string, string>();
  switch (resource.type) {
    case configResourceType.topic:
      return describeTopicSetting(context.settings, none, name)?.value ?? null;
    case configResourceType.broker:
      return context.settings.describe(name)?.value ?? null;
    case configResourceType.group:
      return describeGroupSetting(context.settings, none, name)?.value ?? null;
    default:
      return clientMetricsDefaults.get(name) ?? null;
  }
}

function decideResource(
  context: DecideContext,
  resource: ConfigResource,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  named: ReadonlySet<string>,
): { readonly records: readonly MetadataRecordInit[] } | Refusal {
  const problem =
    resourceRefusal(context, resource) ??
    settingsRefusal(context, resource, after) ??
    isrFloorRefusal(context, resource, before, after);
  if (problem !== null) return problem;
  return { records: configRecords(context, resource, before, after, named) };
}

/** The settings of a topic that is about to be made. */
export function decideTopicConfigs(
  context: DecideContext,
  resource: ConfigResource,
  settings: ReadonlyMap<string, string>,
): { readonly records: readonly MetadataRecordInit[] } | Refusal {
  const problem = settingsRefusal(context, resource, settings);
  if (problem !== null) return problem;
  return { records: configRecords(context, resource, new Map(), settings, new Set(settings.keys())) };
}

function configRecords(
  context: DecideContext,
  resource: ConfigResource,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  named: ReadonlySet<string>,
): MetadataRecordInit[] {
  const records: MetadataRecordInit[] = [];
  const isBroker = resource.type === configResourceType.broker;
  let isrFloorChanged = false;
  for (const name of new Set([...named, ...before.keys()])) {
    const value = after.get(name) ?? null;
    const isSame = value === (before.get(name) ?? null);
    // For a broker the same value is written again: it may stand for a file whose content has changed.
    if (isSame && !(isBroker && named.has(name))) continue;
    records.push({
      type: "ConfigRecord",
      version: 0,
      value: { resourceType: resource.type, resourceName: resource.name, name, value },
    });
    if (name === minInsyncReplicas) isrFloorChanged = true;
  }
  // Replicas are eligible by the floor of the time when they left the ISR: another floor makes that list worthless.
  if (isrFloorChanged && context.image.features.isElrEnabled) {
    const topicName = resource.type === configResourceType.topic ? resource.name : "";
    records.push({ type: "ClearElrRecord", version: 0, value: { topicName } });
  }
  return records;
}

/** Whether there is such a resource. */
function resourceRefusal(context: DecideContext, { type, name }: ConfigResource): Refusal | null {
  const { image } = context;
  switch (type) {
    case configResourceType.topic:
      if (image.topics.get(name) !== undefined) return null;
      return refusal(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${name}' does not exist.`);
    case configResourceType.broker: {
      if (name === "") return null;
      if (!/^\d{1,10}$/.test(name)) return refusal(ErrorCode.INVALID_REQUEST, `Invalid broker name ${name}`);
      const id = Number(name);
      if (image.cluster.brokers.has(id) || image.cluster.controllers.has(id)) return null;
      return refusal(ErrorCode.BROKER_ID_NOT_REGISTERED, `No node with id ${name} found.`);
    }
    case configResourceType.group:
      return name === "" ? refusal(ErrorCode.INVALID_REQUEST, "Groups have no default resource; name a group.") : null;
    case configResourceType.clientMetrics:
      if (name !== "") return null;
      return refusal(ErrorCode.INVALID_REQUEST, "Client metrics have no default resource; name a subscription.");
    case configResourceType.brokerLogger:
      return refusal(ErrorCode.INVALID_REQUEST, "Broker loggers are altered on their own broker.");
    default:
      return refusal(ErrorCode.INVALID_REQUEST, `Resources of type ${type} have no settings.`);
  }
}

function settingsRefusal(
  context: DecideContext,
  resource: ConfigResource,
  after: ReadonlyMap<string, string>,
): Refusal | null {
  const [problem] = settingProblems(context, resource, after);
  if (problem === undefined) return null;
  // Kafka checks brokers' settings on the broker itself, which calls a bad one a bad request; the controller's own checks name the setting.
  const isBroker = resource.type === configResourceType.broker;
  return refusal(isBroker ? ErrorCode.INVALID_REQUEST : ErrorCode.INVALID_CONFIG, problem.message);
}

function settingProblems(
  context: DecideContext,
  { type, name }: ConfigResource,
  after: ReadonlyMap<string, string>,
): readonly Pick<SettingProblem, "message">[] {
  switch (type) {
    case configResourceType.topic:
      return checkTopicSettings(context.settings, after);
    case configResourceType.broker:
      return checkDynamicBrokerSettings(after, name !== "");
    case configResourceType.group:
      return checkGroupSettings(context.settings, after);
    case configResourceType.clientMetrics:
      return checkClientMetricsSettings(after);
    default:
      return [];
  }
}

/** With eligible leader replicas there is one floor for the cluster, and it is always there (KIP-966). */
function isrFloorRefusal(
  context: DecideContext,
  resource: ConfigResource,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Refusal | null {
  if (resource.type !== configResourceType.broker || !context.image.features.isElrEnabled) return null;
  if (before.get(minInsyncReplicas) === after.get(minInsyncReplicas)) return null;
  if (resource.name !== "") {
    const message = `Broker-level ${minInsyncReplicas} cannot be altered while eligible leader replicas are on.`;
    return refusal(ErrorCode.INVALID_CONFIG, message);
  }
  if (after.has(minInsyncReplicas)) return null;
  const message = `Cluster-level ${minInsyncReplicas} cannot be removed while eligible leader replicas are on.`;
  return refusal(ErrorCode.INVALID_CONFIG, message);
}
