// DescribeConfigs v1–4 of topics, brokers, the cluster (empty broker name), broker loggers, groups and client metrics. From this node's own
// image and settings. Secrets are null whoever asks. Documentation (v3+) of topics, groups and
// client metrics; brokers' own stays null.
import { clientMetricsDefaults, clientMetricsListNames, configResourceType } from "@blumfeld/core/controller";
import { topicNameProblem } from "@blumfeld/core/model";
import {
  type DescribedSetting,
  describedGroupNames,
  describedTopicNames,
  describeGroupSetting,
  describeTopicSetting,
  settingSource,
  settingTypeCode,
} from "@blumfeld/core/model/settings";
import {
  type ApiKey,
  type DescribeConfigsResponseInit,
  ErrorCode,
  errorOf,
  type RequestOf,
} from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import type { BrokerLoggers } from "./broker-loggers.ts";
import { settingDocumentation } from "./setting-documentation.ts";

type Parts = Pick<BrokerParts, "authorizer" | "metadata" | "cluster" | "config">;
type Context = RequestContext<typeof ApiKey.DescribeConfigs>;
type Resource = RequestOf<typeof ApiKey.DescribeConfigs>["resources"][number];
type Result = DescribeConfigsResponseInit["results"][number];
type Found = readonly DescribedSetting[] | { readonly errorCode: ErrorCode; readonly errorMessage: string };

export function createDescribeConfigsHandler(
  parts: Parts,
  loggers: BrokerLoggers,
): Handler<typeof ApiKey.DescribeConfigs> {
  return (request, context) => ({
    throttleTimeMs: 0,
    results: request.resources.map((resource) => {
      const found = authorizationFailure(parts, context, resource) ?? settingsOf(parts, loggers, resource);
      return resultOf(resource, found, request);
    }),
  });
}

function resultOf(
  resource: Resource,
  found: Found,
  { includeDocumentation, includeSynonyms }: RequestOf<typeof ApiKey.DescribeConfigs>,
): Result {
  const { configurationKeys, resourceName, resourceType } = resource;
  if ("errorCode" in found) return { ...found, resourceType, resourceName, configs: [] };
  const isAsked = (name: string): boolean =>
    configurationKeys === null || configurationKeys.length === 0 || configurationKeys.includes(name);
  const configs = found
    .filter(({ name }) => isAsked(name))
    .map(({ isReadOnly, isSensitive, name, source, synonyms, type, value }) => ({
      ...{ name, value, readOnly: isReadOnly, configSource: source, isSensitive },
      synonyms: includeSynonyms ? synonyms : [],
      configType: type === null ? 0 : settingTypeCode[type],
      documentation: includeDocumentation ? settingDocumentation(name) : null,
    }));
  return { errorCode: ErrorCode.NONE, errorMessage: "", resourceType, resourceName, configs };
}

function failure(errorCode: ErrorCode, errorMessage: string = errorOf(errorCode).message): Found {
  return { errorCode, errorMessage };
}

function authorizationFailure(parts: Parts, context: Context, { resourceName, resourceType }: Resource): Found | null {
  const may = (type: ResourceType, name: string): boolean =>
    parts.authorizer.authorize(context, AclOperation.DescribeConfigs, type, name);
  switch (resourceType) {
    case configResourceType.topic:
      return may(ResourceType.Topic, resourceName) ? null : failure(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    case configResourceType.group:
      return may(ResourceType.Group, resourceName) ? null : failure(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    default:
      return may(ResourceType.Cluster, clusterResourceName) ? null : failure(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
  }
}

function settingsOf(parts: Parts, loggers: BrokerLoggers, { resourceName: name, resourceType }: Resource): Found {
  const { settings } = parts.cluster;
  const { image } = parts.metadata;
  const own = image.configs.of(resourceType, name);
  switch (resourceType) {
    case configResourceType.topic:
      if (image.topics.get(name) !== undefined) {
        return describedTopicNames(own).map((each) => describeTopicSetting(settings, own, each)!);
      }
      return topicNameProblem(name) === null
        ? failure(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "")
        : failure(ErrorCode.INVALID_TOPIC_EXCEPTION);
    case configResourceType.broker:
      if (name === "") return settings.describeCluster();
      if (name !== String(parts.config.nodeId)) return otherBroker(parts, name);
      return settings.describedNames().map((each) => settings.describe(each)!);
    case configResourceType.brokerLogger:
      if (name !== String(parts.config.nodeId)) return otherBroker(parts, name);
      return [...loggers.levels()].map(([logger, level]) => describedLogger(logger, level));
    case configResourceType.group:
      if (name === "") return failure(ErrorCode.INVALID_REQUEST, "Group name must not be empty");
      return describedGroupNames(own).map((each) => describeGroupSetting(settings, own, each)!);
    case configResourceType.clientMetrics:
      if (name === "") return failure(ErrorCode.INVALID_REQUEST, "Client metrics subscription name must not be empty");
      return [...clientMetricsDefaults.keys()].map((each) => describedClientMetric(own, each));
    default:
      return failure(ErrorCode.INVALID_REQUEST, `Resources of type ${resourceType} have no settings.`);
  }
}

function otherBroker(parts: Parts, name: string): Found {
  const message = `This is broker ${parts.config.nodeId}: ask it for its own id or the empty name, not for ${name}.`;
  return failure(ErrorCode.INVALID_REQUEST, message);
}

function describedLogger(name: string, level: string): DescribedSetting {
  const source = settingSource.dynamicBrokerLogger;
  return { name, value: level, source, isSensitive: false, isReadOnly: false, type: null, synonyms: [] };
}

function describedClientMetric(own: ReadonlyMap<string, string>, name: string): DescribedSetting {
  const value = own.get(name) ?? clientMetricsDefaults.get(name)!;
  const source = own.has(name) ? settingSource.clientMetrics : settingSource.default;
  const type = clientMetricsListNames.has(name) ? "LIST" : "INT";
  const synonyms = [{ name, value, source }];
  return { name, value, source, isSensitive: false, isReadOnly: false, type, synonyms };
}
