// AlterConfigs and IncrementalAlterConfigs at the active controller: per resource, who may alter it, then the decision.
import {
  alterConfigs,
  type ConfigResource,
  configResourceType,
  incrementalAlterConfigs,
  type Refusal,
  type ResourceAnswer,
} from "@blumfeld/core/controller";
import { type ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import { AclOperation, type RequestOrigin, ResourceType } from "../security-seam.ts";
import {
  type ControllerHandler,
  type ControllerRequestParts,
  mayOnCluster,
  mayOnTopic,
} from "./controller-requests.ts";

/** Null where the principal may alter the resource. */
function authorizationRefusal(
  parts: ControllerRequestParts,
  origin: RequestOrigin,
  { type, name }: ConfigResource,
): Refusal | null {
  const refuse = (errorCode: ErrorCode): Refusal => ({ errorCode, errorMessage: errorOf(errorCode).message });
  switch (type) {
    case configResourceType.topic:
      return mayOnTopic(parts, origin, AclOperation.AlterConfigs, name)
        ? null
        : refuse(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    case configResourceType.group:
      return parts.authorizer.authorize(origin, AclOperation.AlterConfigs, ResourceType.Group, name)
        ? null
        : refuse(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    default:
      return mayOnCluster(parts, origin, AclOperation.AlterConfigs)
        ? null
        : refuse(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
  }
}

/** The answers in the order of the request, the refused ones at their places. */
async function alterAllowed<Resource extends ConfigResource>(
  parts: ControllerRequestParts,
  origin: RequestOrigin,
  resources: readonly Resource[],
  alter: (allowed: readonly Resource[]) => Promise<readonly ResourceAnswer[]>,
): Promise<ResourceAnswer[]> {
  const refusals = resources.map((resource) => authorizationRefusal(parts, origin, resource));
  const answers = await alter(resources.filter((_, index) => refusals[index] === null));
  const refused = resources.flatMap((resource, index) => {
    const refusal = refusals[index]!;
    return refusal === null ? [] : [{ resourceType: resource.type, resourceName: resource.name, ...refusal }];
  });
  return [...answers, ...refused];
}

export const onIncrementalAlterConfigs: ControllerHandler<typeof ApiKey.IncrementalAlterConfigs> = async (
  request,
  origin,
  parts,
) => {
  const resources = request.resources.map(({ resourceType, resourceName, configs }) => ({
    type: resourceType,
    name: resourceName,
    changes: configs.map(({ name, configOperation, value }) => ({ name, operation: configOperation, value })),
  }));
  const responses = await alterAllowed(parts, origin, resources, (allowed) =>
    parts.controller.execute((context) => incrementalAlterConfigs(context, allowed, request.validateOnly)),
  );
  return { throttleTimeMs: 0, responses };
};

export const onAlterConfigs: ControllerHandler<typeof ApiKey.AlterConfigs> = async (request, origin, parts) => {
  const resources = request.resources.map(({ resourceType, resourceName, configs }) => ({
    type: resourceType,
    name: resourceName,
    settings: configs,
  }));
  const responses = await alterAllowed(parts, origin, resources, (allowed) =>
    parts.controller.execute((context) => alterConfigs(context, allowed, request.validateOnly)),
  );
  return { throttleTimeMs: 0, responses };
};
