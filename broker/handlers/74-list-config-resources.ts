// ListConfigResources v0–1. v0 lists client metrics subscriptions (KIP-1000); v1 any of the types asked for, all of them for none (KIP-1142).
import { configResourceType } from "@blumfeld/core/controller";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

const { broker, brokerLogger, clientMetrics, group, topic } = configResourceType;
const listedTypes: readonly number[] = [group, clientMetrics, brokerLogger, broker, topic];

export function createListConfigResourcesHandler(
  parts: Pick<BrokerParts, "authorizer" | "metadata">,
): Handler<typeof ApiKey.ListConfigResources> {
  return (request, context) => {
    if (!parts.authorizer.authorize(context, AclOperation.DescribeConfigs, ResourceType.Cluster, clusterResourceName)) {
      throw new RequestError(
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        "the request needs DescribeConfigs on the cluster",
      );
    }
    const asked = context.apiVersion === 0 ? [clientMetrics] : request.resourceTypes;
    const types = asked.length === 0 ? listedTypes : [...new Set(asked)];
    const strange = types.find((type) => !listedTypes.includes(type));
    if (strange !== undefined) {
      throw new RequestError(ErrorCode.UNSUPPORTED_VERSION, `resources of type ${strange} cannot be listed`);
    }
    const { image } = parts.metadata;
    const namesOf = (type: number): Iterable<string> => {
      if (type === topic) return image.topicsByName.keys();
      if (type === broker || type === brokerLogger) return [...image.brokers.keys()].map(String);
      return image.configs.names(type);
    };
    const configResources = listedTypes
      .filter((type) => types.includes(type))
      .flatMap((resourceType) => [...namesOf(resourceType)].map((resourceName) => ({ resourceName, resourceType })));
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, configResources };
  };
}
