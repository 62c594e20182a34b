// Settings of topics, brokers, groups and client metrics: describe, alter one by one, list what has any.
import { ApiKey } from "@blumfeld/core/protocol";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode, throwRetriable } from "./calls.ts";

/** By their numbers on the wire. */
export const configResourceTypes = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const;
export type ConfigResourceType = keyof typeof configResourceTypes;

/** Where a value comes from. */
export const configSources = {
  1: "dynamic-topic",
  2: "dynamic-broker",
  3: "dynamic-default-broker",
  4: "static-broker",
  5: "default",
  6: "dynamic-broker-logger",
  7: "client-metrics",
  8: "group",
} as const;
export type ConfigSource = (typeof configSources)[keyof typeof configSources] | "unknown";

const configTypes = [
  "unknown",
  "boolean",
  "string",
  "int",
  "short",
  "long",
  "double",
  "list",
  "class",
  "password",
] as const;
export type ConfigType = (typeof configTypes)[number];

const operationNumbers = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

export interface ConfigResource {
  readonly type: ConfigResourceType;
  /** A topic, a broker's id ("" for the cluster-wide default), a group, a subscription. */
  readonly name: string;
}

export interface ConfigSynonym {
  readonly name: string;
  readonly value: string | null;
  readonly source: ConfigSource;
}

export interface ConfigEntry {
  readonly name: string;
  /** Null also where the broker keeps it secret. */
  readonly value: string | null;
  readonly source: ConfigSource;
  readonly isReadOnly: boolean;
  readonly isSensitive: boolean;
  readonly type: ConfigType;
  readonly documentation: string | null;
  /** What stands behind the value, the strongest first. */
  readonly synonyms: readonly ConfigSynonym[];
}

export interface DescribedConfigs extends ConfigResource, ItemResult {
  readonly entries: readonly ConfigEntry[];
}

export interface DescribeConfigsOptions extends CallOptions {
  /** Default: all. */
  readonly keys?: readonly string[];
  readonly includeSynonyms?: boolean;
  readonly includeDocumentation?: boolean;
}

export interface ConfigChange {
  readonly name: string;
  readonly operation: keyof typeof operationNumbers;
  /** Not for "delete". */
  readonly value?: string;
}

export interface ConfigAlteration extends ConfigResource {
  readonly changes: readonly ConfigChange[];
}

export interface AlteredConfigs extends ConfigResource, ItemResult {}

function sourceOf(number: number): ConfigSource {
  return (configSources as Readonly<Record<number, ConfigSource>>)[number] ?? "unknown";
}

function typeOf(number: number): ConfigResourceType {
  const found = Object.entries(configResourceTypes).find(([, value]) => value === number);
  return (found?.[0] ?? "topic") as ConfigResourceType;
}

/** A broker's own settings must be asked of that broker; everything else of any. */
function brokerOf(resource: ConfigResource): number | null {
  const isBroker = resource.type === "broker" || resource.type === "brokerLogger";
  return isBroker && resource.name !== "" ? Number(resource.name) : null;
}

function byBroker<Resource extends ConfigResource>(resources: readonly Resource[]): Map<number | null, Resource[]> {
  const groups = new Map<number | null, Resource[]>();
  for (const resource of resources) {
    const broker = brokerOf(resource);
    groups.set(broker, [...(groups.get(broker) ?? []), resource]);
  }
  return groups;
}

/** In the order of `resources`. */
export async function describeConfigs(
  calls: AdminCalls,
  resources: readonly ConfigResource[],
  options: DescribeConfigsOptions,
): Promise<DescribedConfigs[]> {
  await calls.brokerIds();
  const described = await Promise.all(
    [...byBroker(resources)].map(async ([broker, asked]) => {
      const body = {
        resources: asked.map(({ type, name }) => ({
          resourceType: configResourceTypes[type],
          resourceName: name,
          configurationKeys: options.keys ?? null,
        })),
        includeSynonyms: options.includeSynonyms ?? false,
        includeDocumentation: options.includeDocumentation ?? false,
      };
      const answer =
        broker === null
          ? await calls.any(ApiKey.DescribeConfigs, body, options)
          : await calls.broker(broker, ApiKey.DescribeConfigs, body, options);
      return answer.results.map((result) => ({
        type: typeOf(result.resourceType),
        name: result.resourceName,
        error: itemError(
          result.errorCode,
          `${typeOf(result.resourceType)} ${result.resourceName}`,
          result.errorMessage,
        ),
        entries: result.configs.map((config) => ({
          name: config.name,
          value: config.value,
          source: sourceOf(config.configSource),
          isReadOnly: config.readOnly,
          isSensitive: config.isSensitive,
          type: configTypes[config.configType] ?? "unknown",
          documentation: config.documentation,
          synonyms: config.synonyms.map(({ name, value, source }) => ({ name, value, source: sourceOf(source) })),
        })),
      }));
    }),
  );
  const all = described.flat();
  return resources.map(({ type, name }) => all.find((one) => one.type === type && one.name === name)!);
}

/** Changes the named settings and leaves the others (KIP-339). */
export async function alterConfigs(
  calls: AdminCalls,
  alterations: readonly ConfigAlteration[],
  options: CallOptions & { readonly validateOnly?: boolean },
): Promise<AlteredConfigs[]> {
  await calls.brokerIds();
  const altered = await Promise.all(
    [...byBroker(alterations)].map(async ([broker, asked]) => {
      const body = {
        resources: asked.map(({ type, name, changes }) => ({
          resourceType: configResourceTypes[type],
          resourceName: name,
          configs: changes.map((change) => ({
            name: change.name,
            configOperation: operationNumbers[change.operation],
            value: change.operation === "delete" ? null : (change.value ?? null),
          })),
        })),
        validateOnly: options.validateOnly ?? false,
      };
      const check = (answer: { readonly responses: readonly { readonly errorCode: number }[] }): void =>
        throwRetriable(
          answer.responses.map(({ errorCode }) => errorCode),
          "IncrementalAlterConfigs",
        );
      const answer =
        broker === null
          ? await calls.controller(ApiKey.IncrementalAlterConfigs, body, options, check)
          : await calls.broker(broker, ApiKey.IncrementalAlterConfigs, body, options, check);
      return answer.responses.map((result) => ({
        type: typeOf(result.resourceType),
        name: result.resourceName,
        error: itemError(
          result.errorCode,
          `${typeOf(result.resourceType)} ${result.resourceName}`,
          result.errorMessage,
        ),
      }));
    }),
  );
  return altered.flat();
}

/** What has settings of its own, by type. Brokers before 4.1 list client metrics only. */
export async function listConfigResources(
  calls: AdminCalls,
  types: readonly ConfigResourceType[],
  options: CallOptions,
): Promise<ConfigResource[]> {
  const body = { resourceTypes: types.map((type) => configResourceTypes[type]) };
  const answer = await calls.any(ApiKey.ListConfigResources, body, options, (all) =>
    throwCode(all.errorCode, "ListConfigResources"),
  );
  return answer.configResources.map(({ resourceType, resourceName }) => ({
    type: typeOf(resourceType),
    name: resourceName,
  }));
}
