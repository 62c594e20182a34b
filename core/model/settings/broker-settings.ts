// A node's settings while it runs: the file's, with the cluster's dynamic ones laid over them. Answers typed values and, for
// DescribeConfigs, where each comes from. Reads no file and no metadata: the composition brings both.
import { isSensitive, type ValueOf } from "./definition.ts";
import {
  authorizerDefinitions,
  type BrokerDefinitions,
  brokerDefinitions,
  dynamicBrokerDefinitions,
} from "./definitions.ts";
import { type DescribedSetting, type SettingSynonym, settingSource } from "./described-setting.ts";
import { type NodeShape, shapeNode } from "./node-rules.ts";
import {
  checkValue,
  definitionOf,
  type PairSource,
  parseSettings,
  type SettingProblem,
  type Settings,
} from "./parse.ts";
import { brokerSynonyms } from "./synonyms.ts";
import { type TopicSettings, topicSettingsOf } from "./topic-settings.ts";
import { isReadOnlyInAnswers } from "./update-modes.ts";
import { parseValue, type SettingValue } from "./value.ts";

type DynamicDefinitions = typeof dynamicBrokerDefinitions;
export type BrokerSettingName = keyof DynamicDefinitions & string;

export type BrokerSettingsOutcome =
  | { readonly ok: true; readonly settings: BrokerSettings; readonly warnings: readonly SettingProblem[] }
  | { readonly ok: false; readonly problems: readonly SettingProblem[]; readonly warnings: readonly SettingProblem[] };

/** The whole way from a properties file's pairs to a node's settings, or to all that is wrong with them. */
export function parseBrokerSettings(source: PairSource): BrokerSettingsOutcome {
  const withIds = withNodeId(source);
  if ("message" in withIds) return { ok: false, problems: [withIds], warnings: [] };
  const parsed = parseSettings(brokerDefinitions, withIds);
  const warnings = parsed.warnings.filter(({ name }) => !Object.hasOwn(authorizerDefinitions, name));
  if (!parsed.ok) return { ok: false, problems: parsed.problems, warnings };
  const shaped = shapeNode(parsed.settings);
  if (!shaped.ok) return { ok: false, problems: shaped.problems, warnings };
  return { ok: true, settings: new BrokerSettings(parsed.settings, shaped.shape), warnings };
}

/** broker.id is node.id's old name. */
function withNodeId(source: PairSource): ReadonlyMap<string, string> | SettingProblem {
  const pairs = new Map<string, string>();
  if (source instanceof Map) for (const [name, value] of source) pairs.set(name, value);
  else if (Symbol.iterator in source)
    for (const pair of source) pairs.set((pair as { name: string }).name, (pair as { value: string }).value);
  else for (const [name, value] of Object.entries(source)) pairs.set(name, String(value));
  const nodeId = pairs.get("node.id");
  const brokerId = pairs.get("broker.id");
  if (brokerId === undefined || brokerId === "-1") return pairs;
  if (nodeId === undefined) return pairs.set("node.id", brokerId);
  if (nodeId === brokerId) return pairs;
  const complaint = `differs from node.id=${nodeId}`;
  return {
    name: "broker.id",
    value: brokerId,
    complaint,
    nextStep: "remove broker.id",
    message: `broker.id=${brokerId} ${complaint}; remove broker.id`,
  };
}

export class BrokerSettings {
  readonly given: Settings<BrokerDefinitions>;
  readonly shape: NodeShape;
  /** Of this broker, by AlterConfigs on its id. */
  #ofBroker: ReadonlyMap<string, string> = new Map();
  /** Of all brokers, by AlterConfigs on the empty name. */
  #ofCluster: ReadonlyMap<string, string> = new Map();
  readonly #dynamicValues = new Map<string, SettingValue>();
  readonly #listeners = new Set<(changed: ReadonlySet<string>) => void>();

  constructor(given: Settings<BrokerDefinitions>, shape: NodeShape) {
    this.given = given;
    this.shape = shape;
  }

  /** The value that counts now. A name's family (log.retention.ms, .minutes, .hours) is the caller's to resolve; `retentionMs` and its like do. */
  get<N extends BrokerSettingName>(name: N): ValueOf<DynamicDefinitions[N]> {
    const dynamic = this.#dynamicValues.get(name);
    if (dynamic !== undefined) return dynamic as ValueOf<DynamicDefinitions[N]>;
    if (Object.hasOwn(brokerDefinitions, name)) return this.given.get(name as never) as ValueOf<DynamicDefinitions[N]>;
    return dynamicBrokerDefinitions[name].defaultValue as ValueOf<DynamicDefinitions[N]>;
  }

  /** A setting that Kafka's broker table does not know: the authorizer's, a listener's (`listener.name.…`). Null when not given. */
  textOfUnknown(name: string): string | null {
    return this.#ofBroker.get(name) ?? this.#ofCluster.get(name) ?? this.given.unknown.get(name) ?? null;
  }

  /**
   * A setting as one listener sees it: `listener.name.<listener>.<name>`, else the plain one. SASL settings may stand under
   * `listener.name.<listener>.<mechanism>.<name>`: pass `<mechanism>.<name>` as `name` and look at the plain one yourself.
   */
  textForListener(listenerName: string, name: string): string | null {
    const own = this.textOfUnknown(`listener.name.${listenerName.toLowerCase()}.${name}`);
    if (own !== null) return own;
    const dynamic = this.#ofBroker.get(name) ?? this.#ofCluster.get(name);
    if (dynamic !== undefined) return dynamic;
    return definitionOf(brokerDefinitions, name) === undefined ? null : this.given.textOf(name as never);
  }

  /** The dynamic settings of the metadata, whole. Values that do not parse are left out: the controller lets none in. */
  applyDynamic(ofBroker: ReadonlyMap<string, string>, ofCluster: ReadonlyMap<string, string>): ReadonlySet<string> {
    const before = this.#effectiveTexts();
    this.#ofBroker = new Map(ofBroker);
    this.#ofCluster = new Map(ofCluster);
    this.#dynamicValues.clear();
    for (const [name, text] of this.#effectiveTexts()) {
      const definition = definitionOf(dynamicBrokerDefinitions, name);
      const checked = definition === undefined ? null : checkValue(name, definition, text);
      if (checked !== null && !("message" in checked)) this.#dynamicValues.set(name, checked.value);
    }
    const after = this.#effectiveTexts();
    const changed = new Set<string>();
    for (const name of new Set([...before.keys(), ...after.keys()]))
      if (before.get(name) !== after.get(name)) changed.add(name);
    if (changed.size > 0) for (const listener of this.#listeners) listener(changed);
    return changed;
  }

  #effectiveTexts(): Map<string, string> {
    return new Map([...this.#ofCluster, ...this.#ofBroker]);
  }

  /** Called after each change, with the names that changed. Returns the way to stop it. */
  onChange(listener: (changed: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A topic's settings: its own over the brokers'. */
  topic(overrides: ReadonlyMap<string, string>): TopicSettings {
    return topicSettingsOf(this, overrides);
  }

  /** All values that could count for a broker setting, the one that does first. */
  synonymsOf(name: string): SettingSynonym[] {
    const names = brokerSynonyms(name);
    const hidden = isSensitiveBrokerSetting(name);
    const found: SettingSynonym[] = [];
    const add = (source: SettingSynonym["source"], textOf: (synonym: string) => string | null | undefined): void => {
      for (const synonym of names) {
        const text = textOf(synonym);
        if (text !== null && text !== undefined) found.push({ name: synonym, value: hidden ? null : text, source });
      }
    };
    const givenTexts = this.given.givenTexts();
    add(settingSource.dynamicBroker, (synonym) => this.#ofBroker.get(synonym));
    add(settingSource.dynamicDefaultBroker, (synonym) => this.#ofCluster.get(synonym));
    add(settingSource.staticBroker, (synonym) => givenTexts.get(synonym));
    add(settingSource.default, (synonym) => definitionOf(brokerDefinitions, synonym)?.defaultText);
    return found;
  }

  /** As DescribeConfigs answers it for this broker. Null for a name that is neither known nor given. */
  describe(name: string): DescribedSetting | null {
    const definition = definitionOf(dynamicBrokerDefinitions, name);
    const text = this.#textNow(name);
    if (text === undefined) return null;
    const synonyms = this.synonymsOf(name);
    const hidden = isSensitiveBrokerSetting(name);
    return {
      name,
      value: hidden ? null : text,
      source: synonyms[0]?.source ?? settingSource.default,
      isSensitive: hidden,
      isReadOnly: isReadOnlyInAnswers(name),
      type: definition?.type ?? typeOfBrokerSetting(name),
      synonyms,
    };
  }

  #textNow(name: string): string | null | undefined {
    const dynamic = this.#ofBroker.get(name) ?? this.#ofCluster.get(name);
    const definition = definitionOf(dynamicBrokerDefinitions, name);
    if (dynamic !== undefined) return definition === undefined ? dynamic : canonical(definition.type, dynamic);
    if (definitionOf(brokerDefinitions, name) !== undefined) return this.given.textOf(name as never);
    return this.given.unknown.get(name);
  }

  /** What a DescribeConfigs without names lists: all documented settings, and whatever else was given. */
  describedNames(): string[] {
    const names = new Set(this.given.givenTexts().keys());
    for (const [name, definition] of Object.entries(brokerDefinitions)) if (!definition.internal) names.add(name);
    for (const name of [...this.#ofCluster.keys(), ...this.#ofBroker.keys()]) names.add(name);
    return [...names];
  }

  /** The settings of all brokers, as DescribeConfigs answers them for the empty broker name. */
  describeCluster(): DescribedSetting[] {
    return [...this.#ofCluster].map(([name, text]) => {
      const hidden = isSensitiveBrokerSetting(name);
      const type = typeOfBrokerSetting(name);
      const value = hidden ? null : type === null ? text : canonical(type, text);
      const source = settingSource.dynamicDefaultBroker;
      const synonyms = this.synonymsOf(name).filter((synonym) => synonym.source === source);
      return { name, value, source, isSensitive: hidden, isReadOnly: isReadOnlyInAnswers(name), type, synonyms };
    });
  }
}

function canonical(type: Parameters<typeof parseValue>[0], text: string): string {
  const parsed = parseValue(type, text);
  return parsed.ok ? parsed.text : text;
}

/** Of the name, or of the plain setting that a listener's form stands for. */
export function typeOfBrokerSetting(name: string): DescribedSetting["type"] {
  for (const synonym of [name, ...brokerSynonyms(name)]) {
    const definition = definitionOf(dynamicBrokerDefinitions, synonym);
    if (definition !== undefined) return definition.type;
  }
  return null;
}

/** Secrets, and whatever no table knows: it may be one. */
export function isSensitiveBrokerSetting(name: string): boolean {
  for (const synonym of [name, ...brokerSynonyms(name)]) {
    const definition = definitionOf(dynamicBrokerDefinitions, synonym);
    if (definition !== undefined) return isSensitive(definition);
  }
  return true;
}
