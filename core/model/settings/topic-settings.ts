// A topic's settings, resolved: its own, else the brokers' synonyms (dynamic, then static), else the default.
import type { BrokerSettings } from "./broker-settings.ts";
import type { ValueOf } from "./definition.ts";
import { groupDefinitions, topicDefinitions } from "./definitions.ts";
import { type DescribedSetting, type SettingSynonym, settingSource } from "./described-setting.ts";
import { checkValue, definitionOf } from "./parse.ts";
import { topicSynonyms } from "./synonyms.ts";
import { longNumber, type SettingValue } from "./value.ts";

type TopicDefinitions = typeof topicDefinitions;
export type TopicSettingName = keyof TopicDefinitions & string;

export interface TopicSettings {
  get<N extends TopicSettingName>(name: N): ValueOf<TopicDefinitions[N]>;
  /** Whether the topic itself sets it. */
  isOverridden(name: string): boolean;
}

interface Resolved {
  readonly value: SettingValue;
  readonly text: string | null;
}

/** Overrides that do not parse count as absent: the controller lets none in, and a broker must still serve the topic. */
export function topicSettingsOf(broker: BrokerSettings, overrides: ReadonlyMap<string, string>): TopicSettings {
  const own = new Map<string, Resolved>();
  for (const [name, text] of overrides) {
    const definition = definitionOf(topicDefinitions, name);
    const checked = definition === undefined ? null : checkValue(name, definition, text);
    if (checked !== null && !("message" in checked)) own.set(name, checked);
  }
  return {
    get: (name) => (own.get(name) ?? inherited(broker, name)).value as never,
    isOverridden: (name) => own.has(name),
  };
}

/** What the brokers' settings say for a topic that does not speak. */
function inherited(broker: BrokerSettings, name: TopicSettingName): Resolved {
  const definition = topicDefinitions[name];
  const fallback = { value: definition.defaultValue as SettingValue, text: definition.defaultText };
  const synonyms = topicSynonyms[name];
  if (synonyms === undefined) return fallback;
  for (const synonym of synonyms) {
    const value = broker.get(synonym.name as never) as SettingValue;
    if (value === null) continue;
    if (synonym.factor === 1) return { value, text: broker.describe(synonym.name)?.value ?? null };
    // Hours and minutes: a negative count means no limit, whatever the unit.
    const exact = (value as number) < 0 ? -1n : BigInt(value as number) * BigInt(synonym.factor);
    return { value: longNumber(exact), text: String(exact) };
  }
  return fallback;
}

/** As DescribeConfigs answers it for a topic. Null for a name that topics do not have. */
export function describeTopicSetting(
  broker: BrokerSettings,
  overrides: ReadonlyMap<string, string>,
  name: string,
): DescribedSetting | null {
  const definition = definitionOf(topicDefinitions, name);
  if (definition === undefined) return null;
  const override = overrides.get(name);
  const checked = override === undefined ? null : checkValue(name, definition, override);
  const own = checked === null || "message" in checked ? null : checked.text;
  const synonyms: SettingSynonym[] = own === null ? [] : [{ name, value: own, source: settingSource.topic }];
  const strongest = topicSynonyms[name]?.[0];
  // Kafka names the one broker setting here, and not its coarser forms (hours, minutes).
  if (strongest !== undefined)
    synonyms.push(...broker.synonymsOf(strongest.name).filter((one) => one.name === strongest.name));
  const text = own ?? inherited(broker, name as TopicSettingName).text;
  const source = synonyms[0]?.source ?? settingSource.default;
  return { name, value: text, source, isSensitive: false, isReadOnly: false, type: definition.type, synonyms };
}

/** The names a DescribeConfigs without names lists. Internal ones only where the topic sets them. */
export function describedTopicNames(overrides: ReadonlyMap<string, string>): string[] {
  return Object.entries(topicDefinitions)
    .filter(([name, definition]) => !definition.internal || overrides.has(name))
    .map(([name]) => name);
}

/** As for topics. */
export function describedGroupNames(overrides: ReadonlyMap<string, string>): string[] {
  return Object.entries(groupDefinitions)
    .filter(([name, definition]) => !definition.internal || overrides.has(name))
    .map(([name]) => name);
}

/** A group's setting: its own, else the broker's default for groups (`group.` before the name). */
export function describeGroupSetting(
  broker: BrokerSettings,
  overrides: ReadonlyMap<string, string>,
  name: string,
): DescribedSetting | null {
  const definition = definitionOf(groupDefinitions, name);
  if (definition === undefined) return null;
  const own = overrides.get(name);
  const brokerName = `group.${name}`;
  const synonyms: SettingSynonym[] = own === undefined ? [] : [{ name, value: own, source: settingSource.group }];
  if (typeof broker.describe(brokerName)?.value === "string") synonyms.push(...broker.synonymsOf(brokerName));
  const value = own ?? broker.describe(brokerName)?.value ?? definition.defaultText;
  const source = synonyms[0]?.source ?? settingSource.default;
  return { name, value, source, isSensitive: false, isReadOnly: false, type: definition.type, synonyms };
}
