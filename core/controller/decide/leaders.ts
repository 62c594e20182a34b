// Partitions that need another leader or another ISR: after a broker came or went, on an administrator's word, and reassignments.
import {
  type AlterPartitionReassignmentsRequest,
  type AlterPartitionReassignmentsResponseInit,
  type ElectLeadersResponseInit,
  ErrorCode,
  errorOf,
  type MetadataRecordInit,
} from "../../protocol/index.ts";
import { leaderNone, type PartitionImage, replicaDirectory, type TopicImage } from "../image/index.ts";
import { type DecideContext, type Decision, DecisionRefused, decisionOf, type Refusal, refusal } from "./decision.ts";
import { defaultDirectory } from "./new-partition.ts";
import { type ElectionKind, type PartitionChangeInput, partitionChange } from "./partition-change.ts";
import { assignmentProblem } from "./replica-placement.ts";

/** Kafka's numbers of the election types. */
export const electionType = { preferred: 0, unclean: 1 } as const;

type Change = Pick<
  PartitionChangeInput,
  | "targetIsr"
  | "targetReplicas"
  | "targetAdding"
  | "targetRemoving"
  | "targetLeaderRecoveryState"
  | "targetDirectory"
  | "uncleanReplicas"
> & { readonly election?: ElectionKind; readonly mayLead?: (replica: number) => boolean };

/** Reads a topic's settings once, however many partitions of it change. */
export class TopicRules {
  private readonly context: DecideContext;
  private topic: TopicImage | null = null;
  private minInsyncReplicas = 1;
  private isUncleanAllowed = false;

  constructor(context: DecideContext) {
    this.context = context;
  }

  private of(topic: TopicImage): void {
    if (this.topic === topic) return;
    this.topic = topic;
    const settings = this.context.settings.topic(this.context.image.configs.topic(topic.name));
    this.minInsyncReplicas = settings.get("min.insync.replicas");
    this.isUncleanAllowed = settings.get("unclean.leader.election.enable");
  }

  isUncleanElectionAllowed(topic: TopicImage): boolean {
    this.of(topic);
    return this.isUncleanAllowed;
  }

  change(topic: TopicImage, partitionId: number, change: Change): MetadataRecordInit | null {
    const { image } = this.context;
    this.of(topic);
    const partition = topic.partitions[partitionId]!;
    const mayLead = change.mayLead ?? ((replica: number) => image.cluster.isActive(replica));
    return partitionChange({
      election: this.isUncleanAllowed ? "unclean" : "online",
      ...change,
      // A replica in a directory that has failed is nobody's leader, however well its broker is.
      mayLead: (replica) =>
        mayLead(replica) && image.cluster.isDirectoryOnline(replica, replicaDirectory(partition, replica)),
      topicId: topic.id,
      partitionId,
      partition,
      metadataVersion: image.features.metadataVersion,
      isElrEnabled: image.features.isElrEnabled,
      minInsyncReplicas: this.minInsyncReplicas,
      directoryOf: (replica) => defaultDirectory(image.cluster, replica),
    });
  }
}

/** All that changes when `broker` is out: it leads nothing and is in no ISR that has another member. */
export function recordsWithoutBroker(context: DecideContext, broker: number, wasUnclean = false): MetadataRecordInit[] {
  const { image } = context;
  const change = {
    mayLead: (replica: number) => replica !== broker && image.cluster.isActive(replica),
    uncleanReplicas: wasUnclean ? [broker] : [],
  };
  return changesWhere(
    context,
    (partition) => partition.isr.includes(broker) || (wasUnclean && partition.elr.includes(broker)),
    (partition) => ({ ...change, targetIsr: partition.isr.filter((replica) => replica !== broker) }),
  );
}

/** All that changes when the replicas of `broker` in one of its directories are out: the broker itself goes on. */
export function recordsWithoutReplicas(
  context: DecideContext,
  broker: number,
  isOut: (partition: PartitionImage) => boolean,
): MetadataRecordInit[] {
  const mayLead = (replica: number): boolean => replica !== broker && context.image.cluster.isActive(replica);
  return changesWhere(
    context,
    (partition) => partition.isr.includes(broker) && isOut(partition),
    (partition) => ({ mayLead, targetIsr: partition.isr.filter((replica) => replica !== broker) }),
  );
}

/** All that changes when `broker` is in: partitions without a leader may have one again. */
export function recordsWithBroker(context: DecideContext, broker: number): MetadataRecordInit[] {
  const { image } = context;
  const mayLead = (replica: number): boolean => replica === broker || image.cluster.isActive(replica);
  return changesWhere(
    context,
    (partition) => partition.leader === leaderNone,
    () => ({ mayLead }),
  );
}

function changesWhere(
  context: DecideContext,
  isAffected: (partition: PartitionImage) => boolean,
  changeOf: (partition: PartitionImage) => Change,
): MetadataRecordInit[] {
  const rules = new TopicRules(context);
  const records: MetadataRecordInit[] = [];
  for (const topic of context.image.topics.byName.values()) {
    const { partitions } = topic;
    for (let index = 0; index < partitions.length; index++) {
      const partition = partitions[index]!;
      if (!isAffected(partition)) continue;
      const record = rules.change(topic, index, changeOf(partition));
      if (record !== null) records.push(record);
    }
  }
  return records;
}

type TopicPartitions = readonly { readonly topic: string; readonly partitions: readonly number[] }[];

/** ElectLeaders. Null `topicPartitions`: all that there are, and only those that had something to change are answered. */
export function electLeaders(
  context: DecideContext,
  type: number,
  topicPartitions: TopicPartitions | null,
): Decision<ElectLeadersResponseInit["replicaElectionResults"]> {
  if (type !== electionType.preferred && type !== electionType.unclean) {
    throw new DecisionRefused(ErrorCode.INVALID_REQUEST, `Unknown election type ${type}; 0 and 1 are known.`);
  }
  const rules = new TopicRules(context);
  const records: MetadataRecordInit[] = [];
  const results: { topic: string; partitionResult: ({ partitionId: number } & Refusal)[] }[] = [];
  for (const { topic, partitions } of topicPartitions ?? everyPartition(context)) {
    const partitionResult: ({ partitionId: number } & Refusal)[] = [];
    for (const partitionId of partitions) {
      const outcome = electLeader(context, rules, type, topic, partitionId);
      if ("type" in outcome) records.push(outcome);
      else if (topicPartitions === null && outcome.errorCode === ErrorCode.ELECTION_NOT_NEEDED) continue;
      partitionResult.push({ partitionId, ...("type" in outcome ? refusal(ErrorCode.NONE, null) : outcome) });
    }
    if (partitionResult.length > 0 || topicPartitions !== null) results.push({ topic, partitionResult });
  }
  return decisionOf(results, records);
}

function* everyPartition(context: DecideContext): Generator<TopicPartitions[number]> {
  for (const { name, partitions } of context.image.topics.byName.values()) {
    yield { topic: name, partitions: [...partitions.keys()] };
  }
}

function electLeader(
  context: DecideContext,
  rules: TopicRules,
  type: number,
  name: string,
  partitionId: number,
): MetadataRecordInit | Refusal {
  const topic = context.image.topics.get(name);
  const partition = topic?.partitions[partitionId];
  if (topic === undefined || partition === undefined) {
    return refusal(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `There is no partition ${name}-${partitionId}.`);
  }
  const isPreferred = type === electionType.preferred;
  const isDone = isPreferred ? partition.leader === partition.preferredLeader : partition.leader !== leaderNone;
  if (isDone) return refusal(ErrorCode.ELECTION_NOT_NEEDED, errorOf(ErrorCode.ELECTION_NOT_NEEDED).message);
  const record = rules.change(topic, partitionId, { election: isPreferred ? "preferred" : "unclean" });
  if (record !== null) return record;
  const code = isPreferred ? ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE : ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE;
  return refusal(code, errorOf(code).message);
}

export function alterPartitionReassignments(
  context: DecideContext,
  request: AlterPartitionReassignmentsRequest,
): Decision<AlterPartitionReassignmentsResponseInit> {
  const rules = new TopicRules(context);
  const records: MetadataRecordInit[] = [];
  const responses = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, replicas }) => {
      const outcome = reassign(context, rules, name, partitionIndex, replicas, request.allowReplicationFactorChange);
      if (outcome !== null && "errorCode" in outcome) return { partitionIndex, ...outcome };
      if (outcome !== null) records.push(outcome);
      return { partitionIndex, ...refusal(ErrorCode.NONE, null) };
    }),
  }));
  const { allowReplicationFactorChange } = request;
  return decisionOf(
    { throttleTimeMs: 0, allowReplicationFactorChange, errorCode: ErrorCode.NONE, errorMessage: null, responses },
    records,
  );
}

function reassign(
  context: DecideContext,
  rules: TopicRules,
  name: string,
  index: number,
  target: readonly number[] | null,
  mayChangeCount: boolean,
): MetadataRecordInit | Refusal | null {
  const topic = context.image.topics.get(name);
  const partition = topic?.partitions[index];
  if (topic === undefined || partition === undefined) {
    return refusal(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `There is no partition ${name}-${index}.`);
  }
  if (target === null) return cancelReassignment(rules, topic, index, partition);
  const problem = assignmentProblem(context.image.cluster, target, null);
  if (problem !== null) return problem;
  // What a reassignment under way adds is not yet the partition's own; what it removes still is.
  const own = partition.replicas.filter((replica) => !partition.addingReplicas.includes(replica));
  if (!mayChangeCount && target.length !== own.length) {
    const message = `The replication factor would change from ${own.length} to ${target.length}, which the request does not allow.`;
    return refusal(ErrorCode.INVALID_REPLICATION_FACTOR, message);
  }
  const removing = own.filter((replica) => !target.includes(replica));
  const adding = target.filter((replica) => !own.includes(replica));
  return rules.change(topic, index, {
    targetReplicas: [...target, ...removing],
    targetAdding: adding,
    targetRemoving: removing,
  });
}

function cancelReassignment(
  rules: TopicRules,
  topic: TopicImage,
  index: number,
  partition: PartitionImage,
): MetadataRecordInit | Refusal | null {
  if (!partition.isReassigning) return refusal(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, null);
  const replicas = partition.replicas.filter((replica) => !partition.addingReplicas.includes(replica));
  const isr = partition.isr.filter((replica) => !partition.addingReplicas.includes(replica));
  if (isr.length === 0 && !rules.isUncleanElectionAllowed(topic)) {
    return refusal(
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
      `The reassignment of ${topic.name}-${index} cannot be taken back: no replica from before it is in sync.`,
    );
  }
  return rules.change(topic, index, {
    targetIsr: isr.length > 0 ? isr : replicas.slice(0, 1),
    targetReplicas: replicas,
    targetAdding: [],
    targetRemoving: [],
  });
}
