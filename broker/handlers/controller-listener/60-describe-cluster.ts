// DescribeCluster v1–2 on a controller listener (KIP-919): the controllers, at their addresses on the listener that was asked on.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import { type Handler, RequestError } from "../../request-context.ts";
import { authorizedOperations, clusterResourceName, ResourceType } from "../../security-seam.ts";
import { endpointTypes, operationsOmitted } from "../60-describe-cluster.ts";

export function createDescribeControllersHandler(parts: ControllerParts): Handler<typeof ApiKey.DescribeCluster> {
  return (request, context) => {
    if (request.endpointType !== endpointTypes.controller) {
      const isKnown = request.endpointType === endpointTypes.broker;
      throw new RequestError(
        isKnown ? ErrorCode.MISMATCHED_ENDPOINT_TYPE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
        `this is a controller's endpoint; endpoint type ${request.endpointType} was asked for`,
      );
    }
    const brokers = [...parts.metadata.image.cluster.controllers.values()].flatMap(({ endpoints, id }) => {
      const endpoint = endpoints.get(context.listenerName);
      if (endpoint === undefined) return [];
      return [{ brokerId: id, host: endpoint.host, port: endpoint.port, rack: null, isFenced: false }];
    });
    return {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      endpointType: endpointTypes.controller,
      clusterId: parts.clusterId,
      controllerId: parts.quorum.leaderAndEpoch.leaderId,
      brokers,
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? authorizedOperations(parts.authorizer, context, ResourceType.Cluster, clusterResourceName)
        : operationsOmitted,
    };
  };
}
