// Every handler of a controller's listener, by API number. What both listeners serve is the broker's handler: its channel ends at this node's
// controller. The rest is in this folder, or goes to the controller as it is.
import { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import { createSaslHandshakeHandler } from "../17-sasl-handshake.ts";
import { createApiVersionsHandler } from "../18-api-versions.ts";
import { createDescribeAclsHandler } from "../29-describe-acls.ts";
import { createCreateAclsHandler } from "../30-create-acls.ts";
import { createDeleteAclsHandler } from "../31-delete-acls.ts";
import { createDescribeConfigsHandler } from "../32-describe-configs.ts";
import { createSaslAuthenticateHandler } from "../36-sasl-authenticate.ts";
import { onCreateDelegationToken } from "../38-create-delegation-token.ts";
import { onRenewDelegationToken } from "../39-renew-delegation-token.ts";
import { onExpireDelegationToken } from "../40-expire-delegation-token.ts";
import { onDescribeDelegationToken } from "../41-describe-delegation-token.ts";
import { createIncrementalAlterConfigsHandler } from "../44-incremental-alter-configs.ts";
import { createListPartitionReassignmentsHandler } from "../46-list-partition-reassignments.ts";
import { createDescribeUserScramCredentialsHandler } from "../50-describe-user-scram-credentials.ts";
import { createDescribeQuorumHandler } from "../55-describe-quorum.ts";
import { createAllocateProducerIdsHandler } from "../67-allocate-producer-ids.ts";
import { createAddRaftVoterHandler } from "../80-add-raft-voter.ts";
import { createRemoveRaftVoterHandler } from "../81-remove-raft-voter.ts";
import { keptLoggers } from "../broker-loggers.ts";
import { createForwardHandler } from "../forward.ts";
import type { HandlerTable } from "../handler-table.ts";
import { createControllerFetchHandler } from "./01-fetch.ts";
import { createVoteHandler } from "./52-vote.ts";
import { createBeginQuorumEpochHandler } from "./53-begin-quorum-epoch.ts";
import { createEndQuorumEpochHandler } from "./54-end-quorum-epoch.ts";
import { createAlterPartitionHandler } from "./56-alter-partition.ts";
import { createEnvelopeHandler } from "./58-envelope.ts";
import { createFetchSnapshotHandler } from "./59-fetch-snapshot.ts";
import { createDescribeControllersHandler } from "./60-describe-cluster.ts";
import { createBrokerRegistrationHandler } from "./62-broker-registration.ts";
import { createBrokerHeartbeatHandler } from "./63-broker-heartbeat.ts";
import { createControllerRegistrationHandler } from "./70-controller-registration.ts";
import { createAssignReplicasToDirsHandler } from "./73-assign-replicas-to-dirs.ts";
import { createUpdateRaftVoterHandler } from "./82-update-raft-voter.ts";

/** Admin requests that the controller decides; brokers hand them on to it. */
const administrationKeys = [
  ...[ApiKey.CreateTopics, ApiKey.DeleteTopics, ApiKey.AlterConfigs, ApiKey.CreatePartitions, ApiKey.ElectLeaders],
  ...[ApiKey.AlterPartitionReassignments, ApiKey.AlterClientQuotas, ApiKey.AlterUserScramCredentials],
  ...[ApiKey.UpdateFeatures, ApiKey.UnregisterBroker],
] as const;

export function registerControllerListenerHandlers(table: HandlerTable, parts: ControllerParts): void {
  for (const key of administrationKeys) table.add(key, createForwardHandler(parts, key));
  table.add(ApiKey.ApiVersions, createApiVersionsHandler(parts, table, "controller"));
  registerShared(table, parts);
  table.add(ApiKey.Fetch, createControllerFetchHandler(parts));
  table.add(ApiKey.Vote, createVoteHandler(parts));
  table.add(ApiKey.BeginQuorumEpoch, createBeginQuorumEpochHandler(parts));
  table.add(ApiKey.EndQuorumEpoch, createEndQuorumEpochHandler(parts));
  table.add(ApiKey.AlterPartition, createAlterPartitionHandler(parts));
  table.add(ApiKey.Envelope, createEnvelopeHandler(parts, table));
  table.add(ApiKey.FetchSnapshot, createFetchSnapshotHandler(parts));
  table.add(ApiKey.DescribeCluster, createDescribeControllersHandler(parts));
  table.add(ApiKey.BrokerRegistration, createBrokerRegistrationHandler(parts));
  table.add(ApiKey.BrokerHeartbeat, createBrokerHeartbeatHandler(parts));
  table.add(ApiKey.AllocateProducerIds, createAllocateProducerIdsHandler(parts));
  table.add(ApiKey.ControllerRegistration, createControllerRegistrationHandler(parts));
  table.add(ApiKey.AssignReplicasToDirs, createAssignReplicasToDirsHandler(parts));
  table.add(ApiKey.UpdateRaftVoter, createUpdateRaftVoterHandler(parts));
}

/** As on a broker's listener. */
function registerShared(table: HandlerTable, parts: ControllerParts): void {
  const loggers = keptLoggers();
  table.add(ApiKey.SaslHandshake, createSaslHandshakeHandler());
  table.add(ApiKey.SaslAuthenticate, createSaslAuthenticateHandler(parts));
  table.add(ApiKey.DescribeAcls, createDescribeAclsHandler(parts));
  table.add(ApiKey.CreateAcls, createCreateAclsHandler(parts));
  table.add(ApiKey.DeleteAcls, createDeleteAclsHandler(parts));
  table.add(ApiKey.CreateDelegationToken, onCreateDelegationToken);
  table.add(ApiKey.RenewDelegationToken, onRenewDelegationToken);
  table.add(ApiKey.ExpireDelegationToken, onExpireDelegationToken);
  table.add(ApiKey.DescribeDelegationToken, onDescribeDelegationToken);
  table.add(ApiKey.DescribeConfigs, createDescribeConfigsHandler(parts, loggers));
  table.add(ApiKey.IncrementalAlterConfigs, createIncrementalAlterConfigsHandler(parts, loggers));
  table.add(ApiKey.ListPartitionReassignments, createListPartitionReassignmentsHandler(parts));
  table.add(ApiKey.DescribeUserScramCredentials, createDescribeUserScramCredentialsHandler(parts));
  table.add(ApiKey.DescribeQuorum, createDescribeQuorumHandler(parts));
  table.add(ApiKey.AddRaftVoter, createAddRaftVoterHandler(parts));
  table.add(ApiKey.RemoveRaftVoter, createRemoveRaftVoterHandler(parts));
}
