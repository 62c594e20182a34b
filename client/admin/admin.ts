// The admin client: what a program or a person does to a cluster. A call about many things resolves with a result for each, in which `error`
// says what was refused; a call about one thing rejects.
//
//   const admin = new Admin({ bootstrapServers: "localhost:9092" });
//   await admin.createTopic({ name: "orders", partitions: 6 });
//   for (const topic of await admin.listTopics()) console.log(topic.name, topic.partitions);
//   await admin.close();
import type { ApiKey, RequestInitOf, ResponseOf } from "@blumfeld/core/protocol";
import { ClusterClient } from "../connection/cluster-client.ts";
import type { ClientOptions } from "../connection/options.ts";
import { clientError } from "../errors.ts";
import type { OffsetAnswer } from "../offset-lookup.ts";
import type { TopicPartitionInput } from "../records.ts";
import * as acls from "./acls.ts";
import { AdminCalls, type CallOptions, type ItemResult, throwItem } from "./calls.ts";
import * as cluster from "./cluster.ts";
import * as configs from "./configs.ts";
import * as groups from "./groups.ts";
import * as records from "./records.ts";
import * as replicas from "./replicas.ts";
import * as shareGroups from "./share-groups.ts";
import * as topics from "./topics.ts";
import * as transactions from "./transactions.ts";
import * as users from "./users.ts";

type ValidateOptions = CallOptions & { readonly validateOnly?: boolean };

/** Who answers a request that the admin has no method for. */
export type RequestTarget = "any" | "controller" | { readonly nodeId: number } | { readonly groupId: string };

export class Admin implements AsyncDisposable {
  readonly #cluster: ClusterClient;
  readonly #calls: AdminCalls;

  /** Connects at the first call. Throws KafkaError CLIENT_INVALID_OPTION. */
  constructor(options: ClientOptions) {
    this.#cluster = new ClusterClient(options, { allowAutoTopicCreation: false, topicIdleMsMax: 300_000 });
    this.#calls = new AdminCalls(this.#cluster);
  }

  listTopics(options: CallOptions = {}): Promise<topics.ListedTopic[]> {
    return topics.listTopics(this.#calls, options);
  }

  describeTopics(names: readonly string[], options: CallOptions = {}): Promise<topics.TopicDescription[]> {
    return topics.describeTopics(this.#calls, names, options);
  }

  createTopics(list: readonly topics.NewTopic[], options: ValidateOptions = {}): Promise<topics.CreatedTopic[]> {
    return topics.createTopics(this.#calls, list, options);
  }

  async createTopic(topic: topics.NewTopic, options: ValidateOptions = {}): Promise<topics.CreatedTopic> {
    const [created] = await this.createTopics([topic], options);
    throwItem(created!);
    return created!;
  }

  deleteTopics(names: readonly string[], options: CallOptions = {}): Promise<topics.DeletedTopic[]> {
    return topics.deleteTopics(this.#calls, names, options);
  }

  async deleteTopic(name: string, options: CallOptions = {}): Promise<void> {
    const [deleted] = await this.deleteTopics([name], options);
    throwItem(deleted!);
  }

  createPartitions(
    list: readonly topics.NewPartitions[],
    options: ValidateOptions = {},
  ): Promise<topics.DeletedTopic[]> {
    return topics.createPartitions(this.#calls, list, options);
  }

  describeConfigs(
    resources: readonly configs.ConfigResource[],
    options: configs.DescribeConfigsOptions = {},
  ): Promise<configs.DescribedConfigs[]> {
    return configs.describeConfigs(this.#calls, resources, options);
  }

  alterConfigs(
    alterations: readonly configs.ConfigAlteration[],
    options: ValidateOptions = {},
  ): Promise<configs.AlteredConfigs[]> {
    return configs.alterConfigs(this.#calls, alterations, options);
  }

  listConfigResources(
    types: readonly configs.ConfigResourceType[] = [],
    options: CallOptions = {},
  ): Promise<configs.ConfigResource[]> {
    return configs.listConfigResources(this.#calls, types, options);
  }

  describeCluster(
    options: CallOptions & { readonly includeFencedBrokers?: boolean } = {},
  ): Promise<cluster.ClusterDescription> {
    return cluster.describeCluster(this.#calls, options);
  }

  describeQuorum(options: CallOptions = {}): Promise<cluster.QuorumDescription> {
    return cluster.describeQuorum(this.#calls, options);
  }

  describeFeatures(options: CallOptions = {}): Promise<cluster.FeaturesDescription> {
    return cluster.describeFeatures(this.#calls, options);
  }

  updateFeatures(updates: readonly cluster.FeatureUpdate[], options: ValidateOptions = {}): Promise<void> {
    return cluster.updateFeatures(this.#calls, updates, options);
  }

  describeAcls(filter: acls.AclFilter = {}, options: CallOptions = {}): Promise<acls.Acl[]> {
    return acls.describeAcls(this.#calls, filter, options);
  }

  createAcls(list: readonly acls.Acl[], options: CallOptions = {}): Promise<acls.CreatedAcl[]> {
    return acls.createAcls(this.#calls, list, options);
  }

  /** Takes away what any of the filters takes; an empty filter takes everything. */
  deleteAcls(filters: readonly acls.AclFilter[], options: CallOptions = {}): Promise<acls.DeletedAcls[]> {
    return acls.deleteAcls(this.#calls, filters, options);
  }

  /** Null: all users with SCRAM credentials. */
  describeUsers(names: readonly string[] | null = null, options: CallOptions = {}): Promise<users.ScramUser[]> {
    return users.describeUsers(this.#calls, names, options);
  }

  setUserPasswords(list: readonly users.ScramPassword[], options: CallOptions = {}): Promise<users.AlteredUser[]> {
    return users.setUserPasswords(this.#calls, list, this.#cluster.context.random, options);
  }

  deleteUserPasswords(
    list: Parameters<typeof users.deleteUserPasswords>[1],
    options: CallOptions = {},
  ): Promise<users.AlteredUser[]> {
    return users.deleteUserPasswords(this.#calls, list, options);
  }

  /** Null: every partition. */
  electLeaders(
    kind: replicas.ElectionKind,
    partitions: readonly TopicPartitionInput[] | null,
    options: CallOptions = {},
  ): Promise<replicas.ElectedLeader[]> {
    return replicas.electLeaders(this.#calls, kind, partitions, options);
  }

  alterReassignments(
    list: readonly replicas.Reassignment[],
    options: CallOptions = {},
  ): Promise<replicas.AlteredReassignment[]> {
    return replicas.alterReassignments(this.#calls, list, options);
  }

  listReassignments(options: CallOptions = {}): Promise<replicas.OngoingReassignment[]> {
    return replicas.listReassignments(this.#calls, options);
  }

  /** Null: every broker's. */
  describeLogDirs(
    brokerIds: readonly number[] | null = null,
    options: CallOptions = {},
  ): Promise<cluster.LogDirDescription[]> {
    return cluster.describeLogDirs(this.#calls, brokerIds, options);
  }

  listOffsets(
    requests: readonly records.OffsetRequest[],
    options: CallOptions & { readonly isReadCommitted?: boolean } = {},
  ): Promise<OffsetAnswer[]> {
    return records.listOffsets(this.#calls, requests, options);
  }

  deleteRecords(
    deletions: readonly records.RecordDeletion[],
    options: CallOptions = {},
  ): Promise<records.DeletedRecords[]> {
    return records.deleteRecords(this.#calls, deletions, options);
  }

  listGroups(
    options: CallOptions & { readonly states?: readonly string[]; readonly types?: readonly string[] } = {},
  ): Promise<groups.ListedGroup[]> {
    return groups.listGroups(this.#calls, options);
  }

  describeGroups(groupIds: readonly string[], options: CallOptions = {}): Promise<groups.GroupDescription[]> {
    return groups.describeGroups(this.#calls, groupIds, options);
  }

  /** Null: of every partition that the group has committed. */
  listGroupOffsets(
    groupId: string,
    partitions: readonly TopicPartitionInput[] | null = null,
    options: CallOptions & { readonly requireStable?: boolean } = {},
  ): Promise<groups.GroupOffset[]> {
    return groups.listGroupOffsets(this.#calls, groupId, partitions, options);
  }

  alterGroupOffsets(
    groupId: string,
    offsets: readonly groups.NewGroupOffset[],
    options: CallOptions = {},
  ): Promise<(TopicPartitionInput & ItemResult)[]> {
    return groups.alterGroupOffsets(this.#calls, groupId, offsets, options);
  }

  deleteGroupOffsets(
    groupId: string,
    partitions: readonly TopicPartitionInput[],
    options: CallOptions = {},
  ): Promise<(TopicPartitionInput & ItemResult)[]> {
    return groups.deleteGroupOffsets(this.#calls, groupId, partitions, options);
  }

  deleteGroups(
    groupIds: readonly string[],
    options: CallOptions = {},
  ): Promise<({ readonly groupId: string } & ItemResult)[]> {
    return groups.deleteGroups(this.#calls, groupIds, options);
  }

  listShareGroups(options: CallOptions & { readonly states?: readonly string[] } = {}): Promise<groups.ListedGroup[]> {
    return groups.listGroups(this.#calls, { ...options, types: ["share"] });
  }

  describeShareGroups(
    groupIds: readonly string[],
    options: CallOptions = {},
  ): Promise<shareGroups.ShareGroupDescription[]> {
    return shareGroups.describeShareGroups(this.#calls, groupIds, options);
  }

  /** Null: of every partition that the group has a state of. */
  describeShareGroupOffsets(
    groupId: string,
    partitions: readonly TopicPartitionInput[] | null = null,
    options: CallOptions = {},
  ): Promise<shareGroups.ShareGroupOffset[]> {
    return shareGroups.describeShareGroupOffsets(this.#calls, groupId, partitions, options);
  }

  alterShareGroupOffsets(
    groupId: string,
    offsets: readonly shareGroups.NewShareGroupOffset[],
    options: CallOptions = {},
  ): Promise<(TopicPartitionInput & ItemResult)[]> {
    return shareGroups.alterShareGroupOffsets(this.#calls, groupId, offsets, options);
  }

  deleteShareGroupOffsets(
    groupId: string,
    topicNames: readonly string[],
    options: CallOptions = {},
  ): Promise<shareGroups.DeletedShareGroupOffsets[]> {
    return shareGroups.deleteShareGroupOffsets(this.#calls, groupId, topicNames, options);
  }

  /** The broker deletes groups of any type by this request: whoever must not hit another asks `describeShareGroups` first. */
  async deleteShareGroup(groupId: string, options: CallOptions = {}): Promise<void> {
    const [deleted] = await groups.deleteGroups(this.#calls, [groupId], options);
    throwItem(deleted!);
  }

  listTransactions(
    filter: transactions.TransactionFilter = {},
    options: CallOptions = {},
  ): Promise<transactions.ListedTransaction[]> {
    return transactions.listTransactions(this.#calls, filter, options);
  }

  describeTransaction(
    transactionalId: string,
    options: CallOptions = {},
  ): Promise<transactions.TransactionDescription> {
    return transactions.describeTransaction(this.#calls, transactionalId, options);
  }

  describeProducers(partition: TopicPartitionInput, options: CallOptions = {}): Promise<transactions.ActiveProducer[]> {
    return transactions.describeProducers(this.#calls, partition, options);
  }

  /** Open transactions that no coordinator will end, among those that last wrote longer than `olderMs` ago (default 15 minutes). */
  findHangingTransactions(
    partitions: readonly TopicPartitionInput[],
    options: CallOptions & { readonly olderMs?: number } = {},
  ): Promise<transactions.HangingTransaction[]> {
    return transactions.findHangingTransactions(this.#calls, partitions, options.olderMs ?? 900_000, options);
  }

  /** Ends the open transaction of this partition that begins at `startOffset`: for one that its coordinator has forgotten. */
  abortTransaction(
    partition: TopicPartitionInput,
    startOffset: number,
    options: CallOptions = {},
  ): Promise<transactions.ActiveProducer> {
    return transactions.abortTransaction(this.#calls, partition, startOffset, options);
  }

  /** Any request of the protocol, for what has no method here. The answer's own errors are the caller's to read. */
  async request<Key extends ApiKey>(
    target: RequestTarget,
    key: Key,
    body: RequestInitOf<Key>,
    options: CallOptions = {},
  ): Promise<ResponseOf<Key>> {
    if (target === "any") return this.#calls.any(key, body, options);
    if (target === "controller") return this.#calls.controller(key, body, options);
    if ("groupId" in target) return this.#calls.coordinator("group", target.groupId, key, body, options);
    const ids = await this.#calls.brokerIds();
    if (!ids.includes(target.nodeId)) {
      throw clientError(
        "CLIENT_INVALID_ARGUMENT",
        `no broker ${target.nodeId} in the cluster; there are ${ids.join(", ")}`,
      );
    }
    return this.#calls.broker(target.nodeId, key, body, options);
  }

  /** Ends every connection and timer; calls that are under way reject. */
  close(): Promise<void> {
    this.#cluster.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
