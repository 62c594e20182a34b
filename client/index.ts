// The Kafka client: producer, consumer, admin. Works with any Kafka cluster.

export {
  type Acl,
  type AclFilter,
  type AclOperationName,
  type AclResourceType,
  aclOperations,
  aclResourceTypes,
  type CreatedAcl,
  type DeletedAcls,
} from "./admin/acls.ts";
export { Admin, type RequestTarget } from "./admin/admin.ts";
export type { CallOptions, ItemResult } from "./admin/calls.ts";
export type {
  ClusterDescription,
  FeatureDescription,
  FeaturesDescription,
  FeatureUpdate,
  LogDirDescription,
  NodeDescription,
  QuorumDescription,
  QuorumReplica,
} from "./admin/cluster.ts";
export type {
  AlteredConfigs,
  ConfigAlteration,
  ConfigChange,
  ConfigEntry,
  ConfigResource,
  ConfigResourceType,
  ConfigSource,
  ConfigSynonym,
  ConfigType,
  DescribeConfigsOptions,
  DescribedConfigs,
} from "./admin/configs.ts";
export type { GroupDescription, GroupMember, GroupOffset, ListedGroup, NewGroupOffset } from "./admin/groups.ts";
export type { DeletedRecords, OffsetRequest, OffsetSpec, RecordDeletion } from "./admin/records.ts";
export type {
  AlteredReassignment,
  ElectedLeader,
  ElectionKind,
  OngoingReassignment,
  Reassignment,
} from "./admin/replicas.ts";
export type {
  DeletedShareGroupOffsets,
  NewShareGroupOffset,
  ShareGroupDescription,
  ShareGroupMember,
  ShareGroupOffset,
} from "./admin/share-groups.ts";
export type {
  CreatedTopic,
  DeletedTopic,
  ListedTopic,
  NewPartitions,
  NewTopic,
  PartitionDescription,
  TopicDescription,
} from "./admin/topics.ts";
export type {
  ActiveProducer,
  HangingTransaction,
  ListedTransaction,
  TransactionDescription,
  TransactionFilter,
} from "./admin/transactions.ts";
export type { AlteredUser, ScramPassword, ScramUser } from "./admin/users.ts";
export type { BrokerAddress } from "./connection/addresses.ts";
export type { AuthenticationSession, Authenticator } from "./connection/broker-connection.ts";
export type { ClientPorts } from "./connection/context.ts";
export type { BrokerInfo, PartitionInfo, TopicInfo } from "./connection/metadata.ts";
export type { ClientOptions } from "./connection/options.ts";
export {
  type Assignment,
  Consumer,
  type OffsetAndTimestamp,
  type ReadOptions,
} from "./consumer/consumer.ts";
export {
  type Assignor,
  cooperativeStickyAssignor,
  type MemberState,
  type MemberSubscription,
  rangeAssignor,
  roundRobinAssignor,
  stickyAssignor,
} from "./consumer/group/assignors.ts";
export type { CommittedOffset, GroupMetadata } from "./consumer/group/group-offsets.ts";
export type { BrokerPattern, RebalanceListener, Subscription } from "./consumer/group/group-session.ts";
export type { RebalanceEvent } from "./consumer/group/membership.ts";
export { BatchIterator, Message, MessageBatch, type PartitionProgress } from "./consumer/message.ts";
export type { AutoOffsetReset, ConsumerOptions, IsolationLevel } from "./consumer/options.ts";
export type { PartitionOffset, StartAt } from "./consumer/partition-set.ts";
export type { FailureDecision, RunBatches, RunContext, RunMessages, RunOptions } from "./consumer/run.ts";
export { type ClientErrorCode, KafkaError, type Recovery } from "./errors.ts";
export type { OffsetAnswer } from "./offset-lookup.ts";
export { SendListError } from "./producer/calls.ts";
export type { Acks, ProducerOptions } from "./producer/options.ts";
export type { Partitioner } from "./producer/partitioner.ts";
export { type CloseOptions, type InitTransactionsOptions, Producer } from "./producer/producer.ts";
export { type PreparedState, Transaction } from "./producer/transaction.ts";
export { TransactionError } from "./producer/transaction-error.ts";
export {
  adminOptionsFromProperties,
  consumerOptionsFromProperties,
  type FromProperties,
  producerOptionsFromProperties,
} from "./properties.ts";
export type { Bytes, HeadersInput, ProducerRecord, RecordMetadata, TopicPartitionInput } from "./records.ts";
export type { SaslMechanismName, SaslOptions } from "./security/sasl.ts";
export type { AcknowledgementOutcome, ShareConsumerOptions } from "./share/options.ts";
export { ShareConsumer, type ShareReadOptions } from "./share/share-consumer.ts";
export { ShareMessage } from "./share/share-message.ts";
