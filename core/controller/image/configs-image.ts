// Dynamic settings by resource. A null value in a record takes the setting away.
import type { ConfigRecord } from "../../protocol/index.ts";
import type { MetadataDelta } from "./metadata-delta.ts";

/** Kafka's numbers of the kinds of things that have settings. */
export const configResourceType = {
  unknown: 0,
  topic: 2,
  broker: 4,
  brokerLogger: 8,
  clientMetrics: 16,
  group: 32,
} as const;

/** `type:name`. */
export type ConfigResourceKey = string;

export interface ConfigResource {
  readonly type: number;
  readonly name: string;
}

export function configResourceKey(type: number, name: string): ConfigResourceKey {
  return `${type}:${name}`;
}

export function parseConfigResourceKey(key: ConfigResourceKey): ConfigResource {
  const colon = key.indexOf(":");
  return { type: Number(key.slice(0, colon)), name: key.slice(colon + 1) };
}

const noConfigs: ReadonlyMap<string, string> = new Map();

export class ConfigsImage {
  private readonly byResource = new Map<ConfigResourceKey, Map<string, string>>();

  /** The settings of one resource by name; empty where it has none. */
  of(type: number, name: string): ReadonlyMap<string, string> {
    return this.byResource.get(configResourceKey(type, name)) ?? noConfigs;
  }

  topic(name: string): ReadonlyMap<string, string> {
    return this.of(configResourceType.topic, name);
  }

  /** Of one broker; of all brokers with an empty name. */
  broker(name: string): ReadonlyMap<string, string> {
    return this.of(configResourceType.broker, name);
  }

  /** Every resource that has settings. */
  *resources(): Generator<ConfigResource & { readonly settings: ReadonlyMap<string, string> }> {
    for (const [key, settings] of this.byResource) yield { ...parseConfigResourceKey(key), settings };
  }

  /** The names of the resources of one type that have settings. */
  names(type: number): string[] {
    const names: string[] = [];
    for (const resource of this.resources()) if (resource.type === type) names.push(resource.name);
    return names;
  }

  copy(): ConfigsImage {
    const copy = new ConfigsImage();
    for (const [key, settings] of this.byResource) copy.byResource.set(key, new Map(settings));
    return copy;
  }

  onConfig(record: ConfigRecord, delta: MetadataDelta): void {
    const key = configResourceKey(record.resourceType, record.resourceName);
    let settings = this.byResource.get(key);
    if (record.value === null) {
      settings?.delete(record.name);
      if (settings?.size === 0) this.byResource.delete(key);
    } else {
      if (settings === undefined) {
        settings = new Map();
        this.byResource.set(key, settings);
      }
      settings.set(record.name, record.value);
    }
    delta.changedConfigs.add(key);
  }

  /** A removed topic takes its settings with it. */
  forget(type: number, name: string, delta: MetadataDelta): void {
    const key = configResourceKey(type, name);
    if (this.byResource.delete(key)) delta.changedConfigs.add(key);
  }
}
