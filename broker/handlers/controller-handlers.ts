// Registers the handlers of cluster metadata: what the image answers, and what goes on to the active controller.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { createMetadataHandler } from "./03-metadata.ts";
import { createCreateTopicsHandler } from "./19-create-topics.ts";
import { createDeleteTopicsHandler } from "./20-delete-topics.ts";
import { createInitProducerIdHandler } from "./22-init-producer-id.ts";
import { createDescribeConfigsHandler } from "./32-describe-configs.ts";
import { createAlterConfigsHandler } from "./33-alter-configs.ts";
import { createDescribeLogDirsHandler } from "./35-describe-log-dirs.ts";
import { createCreatePartitionsHandler } from "./37-create-partitions.ts";
import { createElectLeadersHandler } from "./43-elect-leaders.ts";
import { createIncrementalAlterConfigsHandler } from "./44-incremental-alter-configs.ts";
import { createAlterPartitionReassignmentsHandler } from "./45-alter-partition-reassignments.ts";
import { createListPartitionReassignmentsHandler } from "./46-list-partition-reassignments.ts";
import { createDescribeClientQuotasHandler } from "./48-describe-client-quotas.ts";
import { createAlterClientQuotasHandler } from "./49-alter-client-quotas.ts";
import { createDescribeUserScramCredentialsHandler } from "./50-describe-user-scram-credentials.ts";
import { createAlterUserScramCredentialsHandler } from "./51-alter-user-scram-credentials.ts";
import { createForwardingDescribeQuorumHandler } from "./55-describe-quorum.ts";
import { createUpdateFeaturesHandler } from "./57-update-features.ts";
import { createDescribeClusterHandler } from "./60-describe-cluster.ts";
import { createUnregisterBrokerHandler } from "./64-unregister-broker.ts";
import { createAllocateProducerIdsHandler } from "./67-allocate-producer-ids.ts";
import { createListConfigResourcesHandler } from "./74-list-config-resources.ts";
import { createDescribeTopicPartitionsHandler } from "./75-describe-topic-partitions.ts";
import { createAddRaftVoterHandler } from "./80-add-raft-voter.ts";
import { createRemoveRaftVoterHandler } from "./81-remove-raft-voter.ts";
import { type BrokerLoggers, keptLoggers } from "./broker-loggers.ts";
import type { HandlerTable } from "./handler-table.ts";

export function registerControllerHandlers(
  table: HandlerTable,
  parts: BrokerParts,
  loggers: BrokerLoggers = keptLoggers(),
): void {
  table.add(ApiKey.Metadata, createMetadataHandler(parts));
  table.add(ApiKey.CreateTopics, createCreateTopicsHandler(parts));
  table.add(ApiKey.DeleteTopics, createDeleteTopicsHandler(parts));
  table.add(ApiKey.InitProducerId, createInitProducerIdHandler(parts));
  table.add(ApiKey.DescribeConfigs, createDescribeConfigsHandler(parts, loggers));
  table.add(ApiKey.AlterConfigs, createAlterConfigsHandler(parts));
  table.add(ApiKey.DescribeLogDirs, createDescribeLogDirsHandler(parts));
  table.add(ApiKey.CreatePartitions, createCreatePartitionsHandler(parts));
  table.add(ApiKey.ElectLeaders, createElectLeadersHandler(parts));
  table.add(ApiKey.IncrementalAlterConfigs, createIncrementalAlterConfigsHandler(parts, loggers));
  table.add(ApiKey.AlterPartitionReassignments, createAlterPartitionReassignmentsHandler(parts));
  table.add(ApiKey.ListPartitionReassignments, createListPartitionReassignmentsHandler(parts));
  table.add(ApiKey.DescribeClientQuotas, createDescribeClientQuotasHandler(parts));
  table.add(ApiKey.AlterClientQuotas, createAlterClientQuotasHandler(parts));
  table.add(ApiKey.DescribeUserScramCredentials, createDescribeUserScramCredentialsHandler(parts));
  table.add(ApiKey.AlterUserScramCredentials, createAlterUserScramCredentialsHandler(parts));
  table.add(ApiKey.DescribeQuorum, createForwardingDescribeQuorumHandler(parts));
  table.add(ApiKey.UpdateFeatures, createUpdateFeaturesHandler(parts));
  table.add(ApiKey.DescribeCluster, createDescribeClusterHandler(parts));
  table.add(ApiKey.UnregisterBroker, createUnregisterBrokerHandler(parts));
  table.add(ApiKey.AllocateProducerIds, createAllocateProducerIdsHandler(parts));
  table.add(ApiKey.ListConfigResources, createListConfigResourcesHandler(parts));
  table.add(ApiKey.DescribeTopicPartitions, createDescribeTopicPartitionsHandler(parts));
  table.add(ApiKey.AddRaftVoter, createAddRaftVoterHandler(parts));
  table.add(ApiKey.RemoveRaftVoter, createRemoveRaftVoterHandler(parts));
}
