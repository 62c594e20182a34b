// What else the active controller is asked for: elections, reassignments, quotas, SCRAM credentials, features, brokers, producer ids.
import {
  allocateProducerIds,
  alterClientQuotas,
  alterPartitionReassignments,
  alterUserScramCredentials,
  electLeaders,
  unregisterBroker,
  updateFeatures,
} from "@blumfeld/core/controller";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { AclOperation } from "../security-seam.ts";
import { type ControllerHandler, requireOnCluster } from "./controller-requests.ts";

export const onElectLeaders: ControllerHandler<typeof ApiKey.ElectLeaders> = async (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.Alter);
  const replicaElectionResults = await parts.controller.execute((context) =>
    electLeaders(context, request.electionType, request.topicPartitions),
  );
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, replicaElectionResults };
};

export const onAlterPartitionReassignments: ControllerHandler<typeof ApiKey.AlterPartitionReassignments> = (
  request,
  origin,
  parts,
) => {
  requireOnCluster(parts, origin, AclOperation.Alter);
  return parts.controller.execute((context) => alterPartitionReassignments(context, request));
};

export const onAlterClientQuotas: ControllerHandler<typeof ApiKey.AlterClientQuotas> = (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.AlterConfigs);
  return parts.controller.execute((context) => alterClientQuotas(context, request));
};

export const onAlterUserScramCredentials: ControllerHandler<typeof ApiKey.AlterUserScramCredentials> = (
  request,
  origin,
  parts,
) => {
  requireOnCluster(parts, origin, AclOperation.Alter);
  return parts.controller.execute((context) => alterUserScramCredentials(context, request));
};

export const onUpdateFeatures: ControllerHandler<typeof ApiKey.UpdateFeatures> = (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.Alter);
  return parts.controller.execute((context) => updateFeatures(context, request));
};

export const onUnregisterBroker: ControllerHandler<typeof ApiKey.UnregisterBroker> = async (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.Alter);
  const outcome = await parts.controller.execute((context) => unregisterBroker(context, request.brokerId));
  return { throttleTimeMs: 0, ...outcome };
};

export const onAllocateProducerIds: ControllerHandler<typeof ApiKey.AllocateProducerIds> = (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.ClusterAction);
  return parts.controller.execute((context) =>
    allocateProducerIds(context, request.brokerId, Number(request.brokerEpoch)),
  );
};
