// Directories of replicas (KIP-858): a broker tells where each of its replicas lies, and which of its directories have failed.
import type { Uuid } from "../../base/index.ts";
import { type AssignReplicasToDirsResponseInit, ErrorCode, type MetadataRecordInit } from "../../protocol/index.ts";
import { metadataVersions, type PartitionImage, replicaDirectory } from "../image/index.ts";
import { changeRecord, staleBrokerRefusal } from "./brokers.ts";
import { type DecideContext, type Decision, DecisionRefused, decisionOf } from "./decision.ts";
import { recordsWithoutReplicas, TopicRules } from "./leaders.ts";

export interface DirectoryAssignment {
  readonly brokerId: number;
  readonly brokerEpoch: number;
  readonly directories: readonly {
    readonly id: Uuid;
    readonly topics: readonly {
      readonly topicId: Uuid;
      readonly partitions: readonly { readonly partitionIndex: number }[];
    }[];
  }[];
}

/** Throws DecisionRefused where the broker is not the one that is registered, or the cluster has no directories yet. */
export function assignReplicasToDirectories(
  context: DecideContext,
  request: DirectoryAssignment,
): Decision<AssignReplicasToDirsResponseInit> {
  const { image } = context;
  if (image.features.metadataVersion < metadataVersions.directories) {
    throw new DecisionRefused(
      ErrorCode.UNSUPPORTED_VERSION,
      "The finalized metadata.version does not have directories of replicas.",
    );
  }
  const { brokerEpoch, brokerId } = request;
  const stale = staleBrokerRefusal(context, brokerId, brokerEpoch);
  if (stale !== null) throw new DecisionRefused(stale.errorCode, stale.errorMessage ?? "");
  const records: MetadataRecordInit[] = [];
  const rules = new TopicRules(context);
  /** Replicas that lie where nothing can be read any more. */
  const lost = new Set<PartitionImage>();
  const directories = request.directories.map(({ id, topics }) => ({
    id,
    topics: topics.map(({ partitions, topicId }) => {
      const topic = image.topicsById.get(topicId);
      const answers = partitions.map(({ partitionIndex }) => {
        const partition = topic?.partitions[partitionIndex];
        if (topic === undefined) return { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_ID };
        if (partition === undefined) return { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
        if (!partition.replicas.includes(brokerId)) {
          return { partitionIndex, errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER };
        }
        const record = rules.change(topic, partitionIndex, { targetDirectory: { replica: brokerId, directory: id } });
        if (record !== null) records.push(record);
        if (!image.cluster.isDirectoryOnline(brokerId, id)) lost.add(partition);
        return { partitionIndex, errorCode: ErrorCode.NONE };
      });
      return { topicId, partitions: answers };
    }),
  }));
  if (lost.size > 0) records.push(...recordsWithoutReplicas(context, brokerId, (partition) => lost.has(partition)));
  return decisionOf({ throttleTimeMs: 0, errorCode: ErrorCode.NONE, directories }, records);
}

/** What `broker` had in directories that it now calls offline goes on elsewhere. */
export function recordsWithoutDirectories(
  context: DecideContext,
  brokerId: number,
  offline: readonly Uuid[],
): MetadataRecordInit[] {
  const { image } = context;
  const broker = image.cluster.broker(brokerId);
  if (broker === undefined || image.features.metadataVersion < metadataVersions.directories) return [];
  const failed = new Set(broker.directories.filter((directory) => offline.includes(directory)));
  if (failed.size === 0) return [];
  const isOut = (partition: PartitionImage): boolean => {
    const directory = replicaDirectory(partition, brokerId);
    return directory !== null && failed.has(directory);
  };
  const directories = broker.directories.filter((directory) => !failed.has(directory));
  return [...recordsWithoutReplicas(context, brokerId, isOut), changeRecord(broker, { directories })];
}
