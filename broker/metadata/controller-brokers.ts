// What other nodes ask of the active controller: they register, show that they are alive, alter ISRs, tell where replicas lie. Each needs
// ClusterAction on the cluster.
import {
  alterPartition,
  assignReplicasToDirectories,
  type RegisteredEndpoint,
  registerBroker,
  registerController,
  type SupportedRange,
} from "@blumfeld/core/controller";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { RequestError } from "../request-context.ts";
import { AclOperation } from "../security-seam.ts";
import { type ControllerHandler, requireOnCluster } from "./controller-requests.ts";

const throttleTimeMs = 0;

interface RequestedFeature {
  readonly name: string;
  readonly minSupportedVersion: number;
  readonly maxSupportedVersion: number;
}

function rangesOf(features: readonly RequestedFeature[]): ReadonlyMap<string, SupportedRange> {
  return new Map(
    features.map(({ maxSupportedVersion, minSupportedVersion, name }) => [
      name,
      { minVersion: minSupportedVersion, maxVersion: maxSupportedVersion },
    ]),
  );
}

export const onBrokerRegistration: ControllerHandler<typeof ApiKey.BrokerRegistration> = async (
  request,
  origin,
  parts,
) => {
  requireOnCluster(parts, origin, AclOperation.ClusterAction);
  if (request.isMigratingZkBroker) {
    throw new RequestError(ErrorCode.BROKER_ID_NOT_REGISTERED, "brokers of ZooKeeper clusters cannot register");
  }
  const { brokerId, clusterId, incarnationId, listeners, logDirs, rack } = request;
  const answer = await parts.controller.execute((context) =>
    registerBroker(context, {
      ...{ brokerId, clusterId, incarnationId, rack },
      endpoints: listeners,
      features: rangesOf(request.features),
      directories: logDirs,
      cordonedDirectories: null,
      previousBrokerEpoch: Number(request.previousBrokerEpoch),
    }),
  );
  return { throttleTimeMs, errorCode: answer.errorCode, brokerEpoch: answer.brokerEpoch };
};

export const onBrokerHeartbeat: ControllerHandler<typeof ApiKey.BrokerHeartbeat> = async (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.ClusterAction);
  const { brokerId, cordonedLogDirs, offlineLogDirs, wantFence, wantShutDown } = request;
  const { isCaughtUp, isFenced, shouldShutDown } = await parts.watch.heartbeat({
    ...{ brokerId, wantFence, wantShutDown },
    brokerEpoch: Number(request.brokerEpoch),
    currentMetadataOffset: Number(request.currentMetadataOffset),
    offlineDirectories: offlineLogDirs,
    cordonedDirectories: cordonedLogDirs,
  });
  return { throttleTimeMs, errorCode: ErrorCode.NONE, isCaughtUp, isFenced, shouldShutDown };
};

export const onAlterPartition: ControllerHandler<typeof ApiKey.AlterPartition> = (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.ClusterAction);
  const topics = request.topics.map(({ partitions, topicId }) => ({
    topicId,
    partitions: partitions.map((partition) => ({
      ...partition,
      // v2 names ids alone (KIP-841): their epochs are not checked.
      isr: [
        ...partition.newIsr.map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
        ...partition.newIsrWithEpochs.map((member) => ({ ...member, brokerEpoch: Number(member.brokerEpoch) })),
      ],
    })),
  }));
  const { brokerId } = request;
  return parts.controller.execute((context) =>
    alterPartition(context, { brokerId, brokerEpoch: Number(request.brokerEpoch), topics }),
  );
};

export const onControllerRegistration: ControllerHandler<typeof ApiKey.ControllerRegistration> = async (
  request,
  origin,
  parts,
) => {
  requireOnCluster(parts, origin, AclOperation.ClusterAction);
  const { controllerId, features, incarnationId, listeners, zkMigrationReady } = request;
  const answer = await parts.controller.execute((context) =>
    registerController(context, {
      ...{ id: controllerId, incarnationId, zkMigrationReady },
      endpoints: new Map(listeners.map((endpoint: RegisteredEndpoint) => [endpoint.name, endpoint])),
      supportedFeatures: rangesOf(features),
    }),
  );
  // Kafka gives an empty message with success.
  return { throttleTimeMs, errorCode: answer.errorCode, errorMessage: answer.errorMessage ?? "" };
};

export const onAssignReplicasToDirs: ControllerHandler<typeof ApiKey.AssignReplicasToDirs> = (
  request,
  origin,
  parts,
) => {
  requireOnCluster(parts, origin, AclOperation.ClusterAction);
  return parts.controller.execute((context) =>
    assignReplicasToDirectories(context, { ...request, brokerEpoch: Number(request.brokerEpoch) }),
  );
};
