// The image as records, in the order that Kafka writes them: replayed into an empty image they make the same one. For snapshots.
import type { MetadataRecordInit } from "../../protocol/index.ts";
import type {
  BrokerRegistration,
  ClusterImage,
  ControllerRegistration,
  RegisteredEndpoint,
  SupportedRange,
} from "./cluster-image.ts";
import { metadataVersionFeature } from "./features-image.ts";
import type { MetadataImage } from "./metadata-image.ts";
import type { PartitionImage } from "./partition-image.ts";
import { metadataVersions, partitionVersion, registerBrokerVersion } from "./record-versions.ts";
import type { TopicImage } from "./topics-image.ts";

/** Lazily: a snapshot of a million partitions never stands in memory as records. */
export function* imageRecords(image: MetadataImage): Generator<MetadataRecordInit> {
  const { metadataVersion } = image.features;
  yield* featureRecords(image);
  yield* clusterRecords(image.cluster, metadataVersion);
  for (const topic of image.topics.byName.values()) yield* topicRecords(topic, metadataVersion);
  for (const { type, name, settings } of image.configs.resources()) {
    for (const [key, value] of settings) {
      yield { type: "ConfigRecord", version: 0, value: { resourceType: type, resourceName: name, name: key, value } };
    }
  }
  yield* quotaRecords(image);
  if (image.nextProducerId > 0) {
    // Who holds the last block is not kept: the id alone counts.
    const value = { brokerId: -1, brokerEpoch: -1n, nextProducerId: BigInt(image.nextProducerId) };
    yield { type: "ProducerIdsRecord", version: 0, value };
  }
  for (const entry of image.acls.byId.values()) yield { type: "AccessControlEntryRecord", version: 0, value: entry };
  yield* scramRecords(image);
  if (metadataVersion >= metadataVersions.delegationTokens) yield* tokenRecords(image);
}

function* featureRecords(image: MetadataImage): Generator<MetadataRecordInit> {
  const { finalized, metadataVersion } = image.features;
  const level = (name: string, featureLevel: number): MetadataRecordInit => ({
    type: "FeatureLevelRecord",
    version: 0,
    value: { name, featureLevel },
  });
  // First of all: it decides how the rest is read.
  if (metadataVersion > 0) yield level(metadataVersionFeature, metadataVersion);
  for (const [name, featureLevel] of finalized) if (name !== metadataVersionFeature) yield level(name, featureLevel);
}

function* clusterRecords(cluster: ClusterImage, metadataVersion: number): Generator<MetadataRecordInit> {
  for (const broker of byId(cluster.brokers)) yield brokerRecord(broker, metadataVersion);
  if (metadataVersion < metadataVersions.controllerRegistration) return;
  for (const controller of byId(cluster.controllers)) yield controllerRecord(controller);
}

function byId<Node extends { readonly id: number }>(nodes: ReadonlyMap<number, Node>): Node[] {
  return [...nodes.values()].sort((one, other) => one.id - other.id);
}

function endPoints(endpoints: ReadonlyMap<string, RegisteredEndpoint>): RegisteredEndpoint[] {
  return [...endpoints.values()];
}

function features(ranges: ReadonlyMap<string, SupportedRange>) {
  return [...ranges].map(([name, range]) => ({
    name,
    minSupportedVersion: range.minVersion,
    maxSupportedVersion: range.maxVersion,
  }));
}

export function brokerRecord(broker: BrokerRegistration, metadataVersion: number): MetadataRecordInit {
  const version = registerBrokerVersion(metadataVersion);
  return {
    type: "RegisterBrokerRecord",
    version,
    value: {
      brokerId: broker.id,
      isMigratingZkBroker: version >= 2 && broker.isMigratingZkBroker,
      incarnationId: broker.incarnationId,
      brokerEpoch: BigInt(broker.epoch),
      endPoints: endPoints(broker.endpoints),
      features: features(broker.supportedFeatures),
      rack: broker.rack,
      fenced: broker.fenced,
      inControlledShutdown: version >= 1 && broker.inControlledShutdown,
      logDirs: version >= 3 ? broker.directories : [],
      cordonedLogDirs: version >= 4 ? broker.cordonedDirectories : null,
    },
  };
}

export function controllerRecord(controller: ControllerRegistration): MetadataRecordInit {
  return {
    type: "RegisterControllerRecord",
    version: 0,
    value: {
      controllerId: controller.id,
      incarnationId: controller.incarnationId,
      zkMigrationReady: controller.zkMigrationReady,
      endPoints: endPoints(controller.endpoints),
      features: features(controller.supportedFeatures),
    },
  };
}

function* topicRecords(topic: TopicImage, metadataVersion: number): Generator<MetadataRecordInit> {
  yield { type: "TopicRecord", version: 0, value: { name: topic.name, topicId: topic.id } };
  for (let index = 0; index < topic.partitions.length; index++) {
    yield partitionRecord(topic, index, topic.partitions[index]!, metadataVersion);
  }
}

/** What the level cannot carry is left out. */
export function partitionRecord(
  topic: { readonly id: TopicImage["id"] },
  partitionId: number,
  partition: Omit<PartitionImage, "isReassigning" | "preferredLeader">,
  metadataVersion: number,
): MetadataRecordInit {
  const version = partitionVersion(metadataVersion);
  const { elr, lastKnownElr } = partition;
  return {
    type: "PartitionRecord",
    version,
    value: {
      partitionId,
      topicId: topic.id,
      replicas: partition.replicas,
      isr: partition.isr,
      removingReplicas: partition.removingReplicas,
      addingReplicas: partition.addingReplicas,
      leader: partition.leader,
      leaderRecoveryState: partition.leaderRecoveryState,
      leaderEpoch: partition.leaderEpoch,
      partitionEpoch: partition.partitionEpoch,
      directories: version >= 1 ? partition.directories : [],
      eligibleLeaderReplicas: version >= 2 && elr.length > 0 ? elr : null,
      lastKnownElr: version >= 2 && lastKnownElr.length > 0 ? lastKnownElr : null,
    },
  };
}

function* quotaRecords(image: MetadataImage): Generator<MetadataRecordInit> {
  for (const { entity, values } of image.quotas.byEntity.values()) {
    const parts = [...entity].map(([entityType, entityName]) => ({ entityType, entityName }));
    for (const [key, value] of values) {
      yield { type: "ClientQuotaRecord", version: 0, value: { entity: parts, key, value, remove: false } };
    }
  }
}

function* scramRecords(image: MetadataImage): Generator<MetadataRecordInit> {
  for (const [mechanism, users] of image.scram.credentials) {
    for (const [name, credential] of users) {
      yield { type: "UserScramCredentialRecord", version: 0, value: { name, mechanism, ...credential } };
    }
  }
}

function* tokenRecords(image: MetadataImage): Generator<MetadataRecordInit> {
  for (const token of image.tokens.byId.values()) {
    yield {
      type: "DelegationTokenRecord",
      version: 0,
      value: {
        owner: token.owner,
        requester: token.requester,
        renewers: token.renewers,
        issueTimestamp: token.issueTimestampMs,
        maxTimestamp: token.maxTimestampMs,
        expirationTimestamp: token.expirationTimestampMs,
        tokenId: token.tokenId,
      },
    };
  }
}
