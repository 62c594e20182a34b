// The requests of a transactional producer: each asks once and rejects with the broker's error as it is. What to do about it is the manager's.
import { topicPartitionKey } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, type RequestInitOf, type ResponseOf } from "@blumfeld/core/protocol";
import type { ClusterClient, NodeRequestOptions } from "../connection/cluster-client.ts";
import { type CommittedOffset, type GroupMetadata, groupByTopic } from "../consumer/group/group-offsets.ts";
import { errorFromCode, type KafkaError } from "../errors.ts";
import type { ProducerIdentity } from "./partition-queue.ts";

/** The last versions in which a client names one transaction; later ones are the brokers' own. */
const addPartitionsVersionMax = 3;
/** The last versions before transactions v2 (KIP-890). */
export const produceVersionMaxV1 = 11;
const offsetCommitVersionMaxV1 = 4;
const endVersionMaxV1 = 4;
const twoPhaseVersion = 6;
const featureName = "transaction.version";
const epochBumpLevel = 2;

export interface InitAsk {
  readonly timeoutMs: number;
  /** What it had before; null where it begins. */
  readonly before: ProducerIdentity | null;
  readonly isTwoPhase: boolean;
  readonly keepsPrepared: boolean;
}

export interface InitAnswer {
  readonly identity: ProducerIdentity;
  /** Whose prepared transaction is open. */
  readonly prepared: ProducerIdentity | null;
}

export class TransactionRequests {
  readonly transactionalId: string;
  readonly #cluster: ClusterClient;

  constructor(cluster: ClusterClient, transactionalId: string) {
    this.#cluster = cluster;
    this.transactionalId = transactionalId;
  }

  forgetCoordinator(groupId: string | null): void {
    if (groupId === null) this.#cluster.forgetCoordinator("transaction", this.transactionalId);
    else this.#cluster.forgetCoordinator("group", groupId);
  }

  /** Whether the cluster's brokers have agreed on transactions v2, as the latest of their answers says. */
  get isV2(): boolean {
    let epoch = -2n;
    let level = 0;
    for (const nodeId of this.#cluster.metadata.brokers.keys()) {
      for (const lane of ["main", "coordinator"] as const) {
        const versions = this.#cluster.readyConnection(nodeId, lane)?.apiVersions;
        if (versions == null || versions.finalizedFeaturesEpoch <= epoch) continue;
        epoch = versions.finalizedFeaturesEpoch;
        level = versions.finalizedFeatures.find(({ name }) => name === featureName)?.maxVersionLevel ?? 0;
      }
    }
    return level >= epochBumpLevel;
  }

  async init(ask: InitAsk): Promise<InitAnswer> {
    const { before, isTwoPhase, keepsPrepared, timeoutMs } = ask;
    const isNew = isTwoPhase || keepsPrepared;
    const body = {
      transactionalId: this.transactionalId,
      transactionTimeoutMs: timeoutMs,
      ...(before === null ? {} : before),
      ...(isNew ? { enable2Pc: isTwoPhase, keepPreparedTxn: keepsPrepared } : {}),
    };
    const options = isNew ? { versionExact: twoPhaseVersion } : {};
    const answer = await this.#ask(ApiKey.InitProducerId, body, options);
    this.#check(answer.errorCode, "InitProducerId");
    const ongoing = Number(answer.ongoingTxnProducerId);
    return {
      identity: { producerId: Number(answer.producerId), producerEpoch: answer.producerEpoch },
      prepared: ongoing < 0 ? null : { producerId: ongoing, producerEpoch: answer.ongoingTxnProducerEpoch },
    };
  }

  async addPartitions(identity: ProducerIdentity, topics: ReadonlyMap<string, ReadonlySet<number>>): Promise<void> {
    const body = {
      v3AndBelowTransactionalId: this.transactionalId,
      v3AndBelowProducerId: identity.producerId,
      v3AndBelowProducerEpoch: identity.producerEpoch,
      v3AndBelowTopics: [...topics].map(([name, partitions]) => ({ name, partitions: [...partitions] })),
    };
    const answer = await this.#ask(ApiKey.AddPartitionsToTxn, body, { versionMax: addPartitionsVersionMax });
    let refusal: KafkaError | null = null;
    for (const { name, resultsByPartition } of answer.resultsByTopicV3AndBelow) {
      for (const { partitionErrorCode, partitionIndex } of resultsByPartition) {
        if (partitionErrorCode === ErrorCode.NONE) continue;
        const error = errorFromCode(partitionErrorCode, `${topicPartitionKey(name, partitionIndex)}: ${this.#what}`);
        // Partitions that were only not attempted say less than the one because of which they were not.
        if (refusal === null || refusal.code === "OPERATION_NOT_ATTEMPTED") refusal = error;
      }
    }
    if (refusal !== null) throw refusal;
  }

  async addOffsets(identity: ProducerIdentity, groupId: string): Promise<void> {
    const body = { transactionalId: this.transactionalId, groupId, ...identity };
    const answer = await this.#ask(ApiKey.AddOffsetsToTxn, body, {});
    this.#check(answer.errorCode, `AddOffsetsToTxn of group ${groupId}`);
  }

  async commitOffsets(
    identity: ProducerIdentity,
    isV2: boolean,
    group: GroupMetadata,
    offsets: readonly CommittedOffset[],
  ): Promise<void> {
    const { generation, groupId, groupInstanceId, memberId } = group;
    const topics = [...groupByTopic(offsets)].map(([name, list]) => ({
      name,
      partitions: list.map(({ leaderEpoch, metadata, offset, partition }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedLeaderEpoch: leaderEpoch ?? -1,
        committedMetadata: metadata ?? "",
      })),
    }));
    const { transactionalId } = this;
    const member = { generationId: generation, memberId, groupInstanceId };
    const body = { transactionalId, groupId, ...identity, ...member, topics };
    const answer = await this.#cluster.requestCoordinator("group", groupId, ApiKey.TxnOffsetCommit, body, {
      versionMax: isV2 ? undefined : offsetCommitVersionMaxV1,
    });
    for (const { name, partitions } of answer.topics) {
      for (const { errorCode, partitionIndex } of partitions) {
        this.#check(errorCode, `offset of ${topicPartitionKey(name, partitionIndex)} of group ${groupId}`);
      }
    }
  }

  /** Who the producer is afterwards. */
  async end(identity: ProducerIdentity, isV2: boolean, isCommit: boolean): Promise<ProducerIdentity> {
    const body = { transactionalId: this.transactionalId, ...identity, committed: isCommit };
    const answer = await this.#ask(ApiKey.EndTxn, body, { versionMax: isV2 ? undefined : endVersionMaxV1 });
    this.#check(answer.errorCode, isCommit ? "commit" : "abort");
    const producerId = Number(answer.producerId);
    return producerId < 0 ? identity : { producerId, producerEpoch: answer.producerEpoch };
  }

  get #what(): string {
    return `transactional id ${this.transactionalId}`;
  }

  #ask<Key extends ApiKey>(key: Key, body: RequestInitOf<Key>, options: NodeRequestOptions): Promise<ResponseOf<Key>> {
    return this.#cluster.requestCoordinator("transaction", this.transactionalId, key, body, options);
  }

  #check(errorCode: number, what: string): void {
    if (errorCode !== ErrorCode.NONE) throw errorFromCode(errorCode, `${what}: ${this.#what}`);
  }
}
