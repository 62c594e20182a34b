// DescribeCluster v0–2. v1 tells brokers from controllers (KIP-919); v2 shows fenced brokers too (KIP-1073). A broker answers for brokers.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { authorizedOperations, clusterResourceName, ResourceType } from "../security-seam.ts";
import { activeControllerId, reachableBrokers } from "./reachable-brokers.ts";

export const endpointTypes = { broker: 1, controller: 2 } as const;
export const operationsOmitted = -2147483648;

export function createDescribeClusterHandler(
  parts: Pick<BrokerParts, "authorizer" | "metadata" | "clusterId">,
): Handler<typeof ApiKey.DescribeCluster> {
  return (request, context) => {
    if (request.endpointType !== endpointTypes.broker) {
      const isKnown = request.endpointType === endpointTypes.controller;
      throw new RequestError(
        isKnown ? ErrorCode.MISMATCHED_ENDPOINT_TYPE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
        `this is a broker's endpoint; endpoint type ${request.endpointType} was asked for`,
      );
    }
    const { image } = parts.metadata;
    const brokers = reachableBrokers(image, context.listenerName, request.includeFencedBrokers);
    return {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      endpointType: endpointTypes.broker,
      clusterId: parts.clusterId,
      controllerId: activeControllerId(image),
      brokers: brokers.map(({ id, host, port, rack, isFenced }) => ({ brokerId: id, host, port, rack, isFenced })),
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? authorizedOperations(parts.authorizer, context, ResourceType.Cluster, clusterResourceName)
        : operationsOmitted,
    };
  };
}
