// The controller channel of a node that is the active controller: a call within the process. What no entry stands for is refused.
import { ApiKey, ErrorCode, type RequestOf, type ResponseInitOf } from "@blumfeld/core/protocol";
import type { ControllerChannel } from "../parts.ts";
import { RequestError } from "../request-context.ts";
import { onCreateAcls, onDeleteAcls } from "./controller-acls.ts";
import {
  onAlterPartition,
  onAssignReplicasToDirs,
  onBrokerHeartbeat,
  onBrokerRegistration,
  onControllerRegistration,
} from "./controller-brokers.ts";
import {
  onAllocateProducerIds,
  onAlterClientQuotas,
  onAlterPartitionReassignments,
  onAlterUserScramCredentials,
  onElectLeaders,
  onUnregisterBroker,
  onUpdateFeatures,
} from "./controller-cluster.ts";
import { onAlterConfigs, onIncrementalAlterConfigs } from "./controller-configs.ts";
import {
  asRequestError,
  type ControllerHandler,
  type ControllerOrigin,
  type ControllerRequestParts,
} from "./controller-requests.ts";
import { onCreatePartitions, onCreateTopics, onDeleteTopics } from "./controller-topics.ts";

type ControllerHandlers = { readonly [Key in ApiKey]?: ControllerHandler<Key> };

const controllerHandlers: ControllerHandlers = {
  [ApiKey.CreateTopics]: onCreateTopics,
  [ApiKey.DeleteTopics]: onDeleteTopics,
  [ApiKey.CreateAcls]: onCreateAcls,
  [ApiKey.DeleteAcls]: onDeleteAcls,
  [ApiKey.AlterConfigs]: onAlterConfigs,
  [ApiKey.CreatePartitions]: onCreatePartitions,
  [ApiKey.ElectLeaders]: onElectLeaders,
  [ApiKey.IncrementalAlterConfigs]: onIncrementalAlterConfigs,
  [ApiKey.AlterPartitionReassignments]: onAlterPartitionReassignments,
  [ApiKey.AlterClientQuotas]: onAlterClientQuotas,
  [ApiKey.AlterUserScramCredentials]: onAlterUserScramCredentials,
  [ApiKey.UpdateFeatures]: onUpdateFeatures,
  [ApiKey.UnregisterBroker]: onUnregisterBroker,
  [ApiKey.AllocateProducerIds]: onAllocateProducerIds,
  [ApiKey.AlterPartition]: onAlterPartition,
  [ApiKey.BrokerRegistration]: onBrokerRegistration,
  [ApiKey.BrokerHeartbeat]: onBrokerHeartbeat,
  [ApiKey.ControllerRegistration]: onControllerRegistration,
  [ApiKey.AssignReplicasToDirs]: onAssignReplicasToDirs,
};

export class LocalControllerChannel implements ControllerChannel {
  private readonly parts: ControllerRequestParts;

  constructor(parts: ControllerRequestParts) {
    this.parts = parts;
  }

  async request<Key extends ApiKey>(
    key: Key,
    request: RequestOf<Key>,
    origin: ControllerOrigin,
  ): Promise<ResponseInitOf<Key>> {
    const handler = controllerHandlers[key] as ControllerHandler<Key> | undefined;
    if (handler === undefined)
      throw new RequestError(ErrorCode.UNSUPPORTED_VERSION, `the controller has no API ${key}`);
    try {
      return await handler(request, origin, this.parts);
    } catch (error) {
      throw asRequestError(error);
    }
  }
}
