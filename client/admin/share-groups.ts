// Share groups (KIP-932): describe, offsets, delete. Listing them is `listGroups` with a filter.
import { numberFromInt64 } from "@blumfeld/core/model";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { KafkaError } from "../errors.ts";
import type { TopicPartitionInput } from "../records.ts";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode, throwRetriable } from "./calls.ts";
import { byTopic } from "./groups.ts";

export interface ShareGroupMember {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly rack: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly subscribedTopics: readonly string[];
  /** A partition may be several members'. */
  readonly assignment: readonly TopicPartitionInput[];
}

export interface ShareGroupDescription extends ItemResult {
  readonly groupId: string;
  /** "Empty", "Stable", "Dead". */
  readonly state: string;
  readonly assignor: string;
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  readonly coordinatorId: number;
  readonly members: readonly ShareGroupMember[];
}

export interface ShareGroupOffset extends TopicPartitionInput, ItemResult {
  /** Everything before is finished; -1: the group has consumed nothing of the partition. */
  readonly startOffset: number;
  readonly leaderEpoch: number;
  /** Records that are still to be finished; null where the broker does not tell (before 4.2, or where nothing was consumed). */
  readonly lag: number | null;
}

export interface NewShareGroupOffset extends TopicPartitionInput {
  readonly startOffset: number;
}

export interface DeletedShareGroupOffsets extends ItemResult {
  readonly topic: string;
}

/** In the order of `groupIds`. */
export function describeShareGroups(
  calls: AdminCalls,
  groupIds: readonly string[],
  options: CallOptions,
): Promise<ShareGroupDescription[]> {
  return Promise.all(
    groupIds.map(async (groupId) => {
      try {
        return await describeShareGroup(calls, groupId, options);
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        const nothing = { assignor: "", groupEpoch: -1, assignmentEpoch: -1, coordinatorId: -1, members: [] };
        return { groupId, state: "", ...nothing, error };
      }
    }),
  );
}

async function describeShareGroup(
  calls: AdminCalls,
  groupId: string,
  options: CallOptions,
): Promise<ShareGroupDescription> {
  const body = { groupIds: [groupId], includeAuthorizedOperations: false };
  const answer = await calls.coordinator("group", groupId, ApiKey.ShareGroupDescribe, body, options, (all) => {
    const [group] = all.groups;
    throwCode(group?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, `share group ${groupId}`, group?.errorMessage);
  });
  const group = answer.groups[0]!;
  return {
    groupId,
    state: group.groupState,
    assignor: group.assignorName,
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    coordinatorId: await calls.cluster.coordinator("group", groupId),
    error: null,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      memberEpoch: member.memberEpoch,
      rack: member.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopics: member.subscribedTopicNames,
      assignment: member.assignment.topicPartitions.flatMap(({ topicName, partitions }) =>
        partitions.map((partition) => ({ topic: topicName, partition })),
      ),
    })),
  };
}

/** Start offset and lag: of the given partitions, or of all that the group has a state of. */
export async function describeShareGroupOffsets(
  calls: AdminCalls,
  groupId: string,
  partitions: readonly TopicPartitionInput[] | null,
  options: CallOptions,
): Promise<ShareGroupOffset[]> {
  const topics =
    partitions === null
      ? null
      : byTopic(partitions).map(([topicName, list]) => ({
          topicName,
          partitions: list.map(({ partition }) => partition),
        }));
  const body = { groups: [{ groupId, topics }] };
  const answer = await calls.coordinator("group", groupId, ApiKey.DescribeShareGroupOffsets, body, options, (all) => {
    const [group] = all.groups;
    const what = `offsets of share group ${groupId}`;
    throwCode(group?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, what, group?.errorMessage);
    throwRetriable(codesOf(group!.topics), what);
  });
  return answer.groups[0]!.topics.flatMap(({ partitions: rows, topicName }) =>
    rows.map((row): ShareGroupOffset => {
      const lag = numberFromInt64(row.lag) ?? -1;
      return {
        topic: topicName,
        partition: row.partitionIndex,
        startOffset: numberFromInt64(row.startOffset) ?? -1,
        leaderEpoch: row.leaderEpoch,
        lag: lag < 0 ? null : lag,
        error: itemError(row.errorCode, placeText(topicName, row.partitionIndex, groupId), row.errorMessage),
      };
    }),
  );
}

/** Lets a group without members go on from these offsets. What it has acquired or finished behind them is forgotten. */
export async function alterShareGroupOffsets(
  calls: AdminCalls,
  groupId: string,
  offsets: readonly NewShareGroupOffset[],
  options: CallOptions,
): Promise<(TopicPartitionInput & ItemResult)[]> {
  const topics = byTopic(offsets).map(([topicName, list]) => ({
    topicName,
    partitions: list.map(({ partition, startOffset }) => ({ partitionIndex: partition, startOffset })),
  }));
  const body = { groupId, topics };
  const answer = await calls.coordinator("group", groupId, ApiKey.AlterShareGroupOffsets, body, options, (all) => {
    throwCode(all.errorCode, `share group ${groupId}`, all.errorMessage);
    throwRetriable(codesOf(all.responses), `offsets of share group ${groupId}`);
  });
  return answer.responses.flatMap(({ partitions, topicName }) =>
    partitions.map(({ errorCode, errorMessage, partitionIndex }) => ({
      topic: topicName,
      partition: partitionIndex,
      error: itemError(errorCode, placeText(topicName, partitionIndex, groupId), errorMessage),
    })),
  );
}

/** Lets a group without members forget all it knows of these topics. */
export async function deleteShareGroupOffsets(
  calls: AdminCalls,
  groupId: string,
  topics: readonly string[],
  options: CallOptions,
): Promise<DeletedShareGroupOffsets[]> {
  const body = { groupId, topics: topics.map((topicName) => ({ topicName })) };
  const answer = await calls.coordinator("group", groupId, ApiKey.DeleteShareGroupOffsets, body, options, (all) => {
    throwCode(all.errorCode, `share group ${groupId}`, all.errorMessage);
    const codes = all.responses.map(({ errorCode }) => errorCode);
    throwRetriable(codes, `offsets of share group ${groupId}`);
  });
  return answer.responses.map(({ errorCode, errorMessage, topicName }) => ({
    topic: topicName,
    error: itemError(errorCode, `${topicName} of share group ${groupId}`, errorMessage),
  }));
}

function codesOf(topics: readonly { readonly partitions: readonly { readonly errorCode: number }[] }[]): number[] {
  return topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
}

function placeText(topic: string, partition: number, groupId: string): string {
  return `${topic}-${partition} of share group ${groupId}`;
}
