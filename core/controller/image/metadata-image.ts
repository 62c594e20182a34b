// The cluster's metadata in memory. Made by replay alone: what is not in a record is not here. Mutable for size's sake, with the change
// reported in a delta; the parts that readers hold on to (partitions, registrations, credentials) are immutable and replaced whole.
import { assert, unreachable } from "../../base/index.ts";
import type { MetadataRecord } from "../../protocol/index.ts";
import { ClusterImage } from "./cluster-image.ts";
import { ConfigsImage, configResourceType } from "./configs-image.ts";
import { FeaturesImage } from "./features-image.ts";
import type { MetadataDelta } from "./metadata-delta.ts";
import { QuotasImage } from "./quotas-image.ts";
import { AclsImage, DelegationTokensImage, ScramImage } from "./security-image.ts";
import { type TopicImage, TopicsImage } from "./topics-image.ts";

interface ImageParts {
  readonly topics: TopicsImage;
  readonly cluster: ClusterImage;
  readonly configs: ConfigsImage;
  readonly features: FeaturesImage;
  readonly scram: ScramImage;
  readonly acls: AclsImage;
  readonly quotas: QuotasImage;
  readonly tokens: DelegationTokensImage;
}

export class MetadataImage implements ImageParts {
  readonly topics: TopicsImage;
  readonly cluster: ClusterImage;
  readonly configs: ConfigsImage;
  readonly features: FeaturesImage;
  readonly scram: ScramImage;
  readonly acls: AclsImage;
  readonly quotas: QuotasImage;
  readonly tokens: DelegationTokensImage;
  /** The first producer id that no block holds yet. */
  nextProducerId = 0;
  /** The last record that is in; -1 and -1 before the first. */
  highestOffset = -1;
  highestEpoch = -1;

  constructor(parts: Partial<ImageParts> = {}) {
    this.topics = parts.topics ?? new TopicsImage();
    this.cluster = parts.cluster ?? new ClusterImage();
    this.configs = parts.configs ?? new ConfigsImage();
    this.features = parts.features ?? new FeaturesImage();
    this.scram = parts.scram ?? new ScramImage();
    this.acls = parts.acls ?? new AclsImage();
    this.quotas = parts.quotas ?? new QuotasImage();
    this.tokens = parts.tokens ?? new DelegationTokensImage();
  }

  get topicsByName(): ReadonlyMap<string, TopicImage> {
    return this.topics.byName;
  }

  get topicsById(): ReadonlyMap<string, TopicImage> {
    return this.topics.byId;
  }

  get brokers(): ClusterImage["brokers"] {
    return this.cluster.brokers;
  }

  /** Of the same content, changing on its own from here on. */
  copy(): MetadataImage {
    const copy = new MetadataImage({
      topics: this.topics.copy(),
      cluster: this.cluster.copy(),
      configs: this.configs.copy(),
      features: this.features.copy(),
      scram: this.scram.copy(),
      acls: this.acls.copy(),
      quotas: this.quotas.copy(),
      tokens: this.tokens.copy(),
    });
    copy.nextProducerId = this.nextProducerId;
    copy.highestOffset = this.highestOffset;
    copy.highestEpoch = this.highestEpoch;
    return copy;
  }

  /** Applies one record. Transaction marks are the replayer's affair and change nothing here. */
  replay(record: MetadataRecord, delta: MetadataDelta): void {
    switch (record.type) {
      case "TopicRecord":
        return this.topics.onTopic(record.value, delta);
      case "PartitionRecord":
        return this.topics.onPartition(record.value, delta);
      case "PartitionChangeRecord":
        return this.topics.onPartitionChange(record.value, delta);
      case "RemoveTopicRecord":
        return this.onRemoveTopic(record.value.topicId, delta);
      case "ClearElrRecord":
        return this.topics.onClearElr(record.value.topicName, delta);
      case "ConfigRecord":
        return this.configs.onConfig(record.value, delta);
      case "FeatureLevelRecord":
        return this.features.onLevel(record.value.name, record.value.featureLevel, delta);
      case "ProducerIdsRecord":
        this.nextProducerId = Number(record.value.nextProducerId);
        delta.producerIdsChanged = true;
        return;
      case "RegisterBrokerRecord":
        return this.cluster.onRegisterBroker(record.value, delta);
      case "UnregisterBrokerRecord":
        return this.cluster.onUnregisterBroker(record.value.brokerId, record.value.brokerEpoch, delta);
      case "FenceBrokerRecord":
        return this.cluster.onFence(record.value.id, record.value.epoch, true, delta);
      case "UnfenceBrokerRecord":
        return this.cluster.onFence(record.value.id, record.value.epoch, false, delta);
      case "BrokerRegistrationChangeRecord":
        return this.cluster.onBrokerRegistrationChange(record.value, delta);
      case "RegisterControllerRecord":
        return this.cluster.onRegisterController(record.value, delta);
      default:
        return this.replaySecurity(record, delta);
    }
  }

  private replaySecurity(record: Exclude<MetadataRecord, { type: StructureRecordType }>, delta: MetadataDelta): void {
    switch (record.type) {
      case "UserScramCredentialRecord":
        return this.scram.onCredential(record.value, delta);
      case "RemoveUserScramCredentialRecord":
        return this.scram.onRemove(record.value, delta);
      case "AccessControlEntryRecord":
        return this.acls.onEntry(record.value, delta);
      case "RemoveAccessControlEntryRecord":
        return this.acls.onRemove(record.value.id, delta);
      case "ClientQuotaRecord":
        return this.quotas.onQuota(record.value, delta);
      case "DelegationTokenRecord":
        return this.tokens.onToken(record.value, delta);
      case "RemoveDelegationTokenRecord":
        return this.tokens.onRemove(record.value.tokenId, delta);
      case "NoOpRecord":
      case "ZkMigrationStateRecord":
      case "BeginTransactionRecord":
      case "EndTransactionRecord":
      case "AbortTransactionRecord":
        return;
      default:
        return unreachable(record, "metadata record");
    }
  }

  private onRemoveTopic(id: Parameters<TopicsImage["onRemove"]>[0], delta: MetadataDelta): void {
    const topic = this.topics.byId.get(id);
    assert(topic !== undefined, `a remove topic record names topic ${id}, which the metadata does not have`);
    this.topics.onRemove(id, delta);
    this.configs.forget(configResourceType.topic, topic.name, delta);
  }
}

type StructureRecordType =
  | "TopicRecord"
  | "PartitionRecord"
  | "PartitionChangeRecord"
  | "RemoveTopicRecord"
  | "ClearElrRecord"
  | "ConfigRecord"
  | "FeatureLevelRecord"
  | "ProducerIdsRecord"
  | "RegisterBrokerRecord"
  | "UnregisterBrokerRecord"
  | "FenceBrokerRecord"
  | "UnfenceBrokerRecord"
  | "BrokerRegistrationChangeRecord"
  | "RegisterControllerRecord";
