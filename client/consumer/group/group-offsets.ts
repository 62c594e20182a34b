// Committed offsets of the consumer's group: read and written at its coordinator.
import { numberFromInt64 } from "@blumfeld/core/model";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { ClusterClient } from "../../connection/cluster-client.ts";
import { errorFromCode } from "../../errors.ts";
import type { TopicPartitionInput } from "../../records.ts";

export interface CommittedOffset extends TopicPartitionInput {
  /** The next offset to read. */
  readonly offset: number;
  readonly metadata?: string;
  readonly leaderEpoch?: number;
}

/**
 * Who commits: a member of a generation, or nobody's member (-1, ""). Goes with offsets of a transaction too (KIP-447): a member whose partitions
 * went elsewhere commits nothing.
 */
export interface GroupMetadata {
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
}

/** The last versions that name topics, not ids. */
const versionMaxWithNames = 9;

export async function commitOffsets(
  cluster: ClusterClient,
  committer: GroupMetadata,
  offsets: readonly CommittedOffset[],
  options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
): Promise<void> {
  if (offsets.length === 0) return;
  const { signal, timeoutMs } = options;
  const { groupId, generation, memberId, groupInstanceId } = committer;
  const topics = [...groupByTopic(offsets)].map(([name, list]) => ({
    name,
    partitions: list.map(({ partition, offset, metadata, leaderEpoch }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: leaderEpoch ?? -1,
      committedMetadata: metadata ?? "",
    })),
  }));
  const body = { groupId, generationIdOrMemberEpoch: generation, memberId, groupInstanceId, topics };
  await cluster.retrying(
    async () => {
      const answer = await cluster.requestCoordinator("group", groupId, ApiKey.OffsetCommit, body, {
        signal,
        versionMax: versionMaxWithNames,
      });
      for (const topic of answer.topics) {
        for (const { partitionIndex, errorCode } of topic.partitions) {
          if (errorCode === ErrorCode.NONE) continue;
          throw errorFromCode(errorCode, `commit of ${topic.name}-${partitionIndex} by group ${groupId}`);
        }
      }
    },
    { signal, timeoutMs, beforeRetry: () => cluster.forgetCoordinator("group", groupId) },
  );
}

/** Null for partitions without a committed offset. In the order of `partitions`. */
export async function fetchCommitted(
  cluster: ClusterClient,
  groupId: string,
  partitions: readonly TopicPartitionInput[],
  options: { readonly requireStable: boolean; readonly signal?: AbortSignal },
): Promise<(CommittedOffset | null)[]> {
  if (partitions.length === 0) return [];
  const { requireStable, signal } = options;
  const topics = [...groupByTopic(partitions)].map(([name, list]) => ({
    name,
    partitionIndexes: list.map(({ partition }) => partition),
  }));
  const body = { groups: [{ groupId, topics }], requireStable };
  return cluster.retrying(
    async () => {
      const answer = await cluster.requestCoordinator("group", groupId, ApiKey.OffsetFetch, body, {
        signal,
        versionMax: versionMaxWithNames,
      });
      const group = answer.groups[0];
      if (group === undefined || group.errorCode !== ErrorCode.NONE) {
        throw errorFromCode(group?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, `offsets of group ${groupId}`);
      }
      const found = new Map<string, CommittedOffset>();
      for (const topic of group.topics) {
        for (const one of topic.partitions) {
          const where = `${topic.name}-${one.partitionIndex}`;
          if (one.errorCode !== ErrorCode.NONE) throw errorFromCode(one.errorCode, `${where} of group ${groupId}`);
          const offset = numberFromInt64(one.committedOffset) ?? -1;
          if (offset < 0) continue;
          const { partitionIndex: partition, committedLeaderEpoch: leaderEpoch } = one;
          found.set(where, { topic: topic.name, partition, offset, leaderEpoch, metadata: one.metadata ?? "" });
        }
      }
      return partitions.map(({ topic, partition }) => found.get(`${topic}-${partition}`) ?? null);
    },
    { signal, beforeRetry: () => cluster.forgetCoordinator("group", groupId) },
  );
}

export function groupByTopic<Item extends TopicPartitionInput>(items: readonly Item[]): Map<string, Item[]> {
  const topics = new Map<string, Item[]>();
  for (const item of items) {
    const list = topics.get(item.topic);
    if (list === undefined) topics.set(item.topic, [item]);
    else list.push(item);
  }
  return topics;
}
