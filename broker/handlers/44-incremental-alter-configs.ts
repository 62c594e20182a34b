// IncrementalAlterConfigs v0–1 (KIP-339). The active controller authorises and decides; broker loggers are this broker's own (KIP-412).
import { alterOperation, configResourceType } from "@blumfeld/core/controller";
import { ApiKey, ErrorCode, errorOf, type RequestOf, type ResponseInitOf } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import { type BrokerLoggers, logLevels, rootLogger } from "./broker-loggers.ts";
import { originOf } from "./forward.ts";

type Key = typeof ApiKey.IncrementalAlterConfigs;
type Parts = Pick<BrokerParts, "authorizer" | "controllerChannel" | "config">;
type Resource = RequestOf<Key>["resources"][number];
type Answer = ResponseInitOf<Key>["responses"][number];

export function createIncrementalAlterConfigsHandler(parts: Parts, loggers: BrokerLoggers): Handler<Key> {
  return async (request, context) => {
    const isLogger = ({ resourceType }: Resource): boolean => resourceType === configResourceType.brokerLogger;
    const own = request.resources.filter(isLogger);
    const loggerAnswers = own.map((resource) => alterLoggers(parts, loggers, context, resource, request.validateOnly));
    const resources = request.resources.filter((resource) => !isLogger(resource));
    if (resources.length === 0) return { throttleTimeMs: 0, responses: loggerAnswers };
    const answer = await parts.controllerChannel.request(
      ApiKey.IncrementalAlterConfigs,
      { ...request, resources },
      originOf(context as RequestContext),
    );
    return { ...answer, responses: [...answer.responses, ...loggerAnswers] };
  };
}

function alterLoggers(
  parts: Parts,
  loggers: BrokerLoggers,
  context: RequestContext<Key>,
  resource: Resource,
  validateOnly: boolean,
): Answer {
  const { resourceName, resourceType } = resource;
  const answer = (errorCode: ErrorCode, errorMessage: string | null): Answer => ({
    ...{ errorCode, errorMessage, resourceType, resourceName },
  });
  if (!parts.authorizer.authorize(context, AclOperation.AlterConfigs, ResourceType.Cluster, clusterResourceName)) {
    const code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED;
    return answer(code, errorOf(code).message);
  }
  if (resourceName !== String(parts.config.nodeId)) {
    return answer(ErrorCode.INVALID_REQUEST, `This is broker ${parts.config.nodeId}; ${resourceName} is another one.`);
  }
  const known = loggers.levels();
  for (const { configOperation, name, value } of resource.configs) {
    if (!known.has(name)) return answer(ErrorCode.INVALID_CONFIG, `Logger ${name} does not exist!`);
    if (configOperation === alterOperation.delete) {
      if (name === rootLogger)
        return answer(ErrorCode.INVALID_REQUEST, "The level of the root logger cannot be unset.");
      continue;
    }
    if (configOperation !== alterOperation.set) {
      return answer(ErrorCode.INVALID_REQUEST, `Logger ${name}: a level can be set or deleted, nothing else.`);
    }
    if (value === null || !logLevels.includes(value)) {
      return answer(ErrorCode.INVALID_CONFIG, `Logger ${name}: ${value} is not one of ${logLevels.join(", ")}.`);
    }
  }
  if (!validateOnly) {
    for (const { configOperation, name, value } of resource.configs) {
      loggers.setLevel(name, configOperation === alterOperation.delete ? null : value);
    }
  }
  return answer(ErrorCode.NONE, null);
}
