// Consumer groups of both protocols: list, describe, offsets, delete.

import { numberFromInt64 } from "@blumfeld/core/model";
import {
  ApiKey,
  ErrorCode,
  type ResponseOf,
  readConsumerAssignment,
  readConsumerSubscription,
} from "@blumfeld/core/protocol";
import { clientError, errorFromCode, KafkaError } from "../errors.ts";
import type { TopicPartitionInput } from "../records.ts";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode } from "./calls.ts";

export interface ListedGroup {
  readonly groupId: string;
  /** "consumer", "connect" …; "" for a group that only keeps offsets. */
  readonly protocolType: string;
  /** "Stable", "Empty" …; "" where the broker does not tell (before 2.6). */
  readonly state: string;
  /** "classic", "consumer", "share", "streams"; "" where the broker does not tell (before 3.8). */
  readonly type: string;
}

export interface GroupMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly assignment: readonly TopicPartitionInput[];
  /** Null for classic members that are no consumers. */
  readonly subscribedTopics: readonly string[] | null;
}

export interface GroupDescription extends ItemResult {
  readonly groupId: string;
  readonly type: "classic" | "consumer";
  readonly state: string;
  readonly protocolType: string;
  /** The assignor in use. */
  readonly assignor: string;
  /** -1 for classic groups. */
  readonly groupEpoch: number;
  readonly coordinatorId: number;
  readonly members: readonly GroupMember[];
}

export interface GroupOffset extends TopicPartitionInput, ItemResult {
  /** -1: nothing is committed. */
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string | null;
}

export interface NewGroupOffset extends TopicPartitionInput {
  readonly offset: number;
  readonly leaderEpoch?: number;
  readonly metadata?: string;
}

/** The last versions that name topics, not ids. */
const offsetFetchVersionWithNames = 9;
const offsetCommitVersionWithNames = 9;

export async function listGroups(
  calls: AdminCalls,
  options: CallOptions & { readonly states?: readonly string[]; readonly types?: readonly string[] },
): Promise<ListedGroup[]> {
  const body = {
    ...(options.states === undefined ? {} : { statesFilter: options.states }),
    ...(options.types === undefined ? {} : { typesFilter: options.types }),
  };
  const groups = new Map<string, ListedGroup>();
  for (const brokerId of await calls.brokerIds()) {
    const answer = await calls.broker(brokerId, ApiKey.ListGroups, body, options, (all) =>
      throwCode(all.errorCode, `groups of broker ${brokerId}`),
    );
    for (const { groupId, protocolType, groupState, groupType } of answer.groups) {
      groups.set(groupId, { groupId, protocolType, state: groupState, type: groupType });
    }
  }
  return [...groups.values()].sort((one, other) => (one.groupId < other.groupId ? -1 : 1));
}

/** In the order of `groupIds`. */
export function describeGroups(
  calls: AdminCalls,
  groupIds: readonly string[],
  options: CallOptions,
): Promise<GroupDescription[]> {
  return Promise.all(groupIds.map((groupId) => describeGroup(calls, groupId, options)));
}

async function describeGroup(calls: AdminCalls, groupId: string, options: CallOptions): Promise<GroupDescription> {
  try {
    return await describeConsumerGroup(calls, groupId, options);
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    // Not a group of the new protocol, or a broker without it.
    const isOther = error.code === "GROUP_ID_NOT_FOUND" || error.code === "UNSUPPORTED_VERSION";
    if (!isOther) return failedGroup(groupId, error);
  }
  try {
    return await describeClassicGroup(calls, groupId, options);
  } catch (error) {
    if (error instanceof KafkaError) return failedGroup(groupId, error);
    throw error;
  }
}

async function describeConsumerGroup(
  calls: AdminCalls,
  groupId: string,
  options: CallOptions,
): Promise<GroupDescription> {
  const body = { groupIds: [groupId], includeAuthorizedOperations: false };
  const answer = await calls.coordinator("group", groupId, ApiKey.ConsumerGroupDescribe, body, options, (all) => {
    const [group] = all.groups;
    throwCode(group?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, `group ${groupId}`, group?.errorMessage);
  });
  const group = answer.groups[0]!;
  return {
    groupId,
    type: "consumer",
    state: group.groupState,
    protocolType: "consumer",
    assignor: group.assignorName,
    groupEpoch: group.groupEpoch,
    coordinatorId: await calls.cluster.coordinator("group", groupId),
    error: null,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopics: member.subscribedTopicNames,
      assignment: member.assignment.topicPartitions.flatMap(({ topicName, partitions }) =>
        partitions.map((partition) => ({ topic: topicName, partition })),
      ),
    })),
  };
}

async function describeClassicGroup(
  calls: AdminCalls,
  groupId: string,
  options: CallOptions,
): Promise<GroupDescription> {
  const body = { groups: [groupId], includeAuthorizedOperations: false };
  const answer = await calls.coordinator("group", groupId, ApiKey.DescribeGroups, body, options, (all) => {
    const [group] = all.groups;
    throwCode(group?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, `group ${groupId}`, group?.errorMessage);
  });
  const group = answer.groups[0]!;
  const isConsumer = group.protocolType === "consumer";
  return {
    groupId,
    type: "classic",
    state: group.groupState,
    protocolType: group.protocolType,
    assignor: group.protocolData,
    groupEpoch: -1,
    coordinatorId: await calls.cluster.coordinator("group", groupId),
    error: group.groupState === "Dead" ? errorFromCode(ErrorCode.GROUP_ID_NOT_FOUND, `group ${groupId}`) : null,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopics: isConsumer ? topicsOf(member.memberMetadata) : null,
      assignment: isConsumer ? assignmentOf(member.memberAssignment) : [],
    })),
  };
}

/** What members tell each other is theirs to get wrong: bytes that cannot be read are shown as none. */
function topicsOf(bytes: Buffer): string[] | null {
  try {
    return bytes.length === 0 ? [] : [...readConsumerSubscription(bytes).topics];
  } catch {
    return null;
  }
}

function assignmentOf(bytes: Buffer): TopicPartitionInput[] {
  try {
    if (bytes.length === 0) return [];
    return readConsumerAssignment(bytes).assignedPartitions.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition })),
    );
  } catch {
    return [];
  }
}

function failedGroup(groupId: string, error: KafkaError): GroupDescription {
  const nothing = { protocolType: "", assignor: "", groupEpoch: -1, coordinatorId: -1, members: [] };
  return { groupId, type: "classic", state: "", ...nothing, error };
}

/** Committed offsets of the group: of the given partitions, or of all it has any for. */
export async function listGroupOffsets(
  calls: AdminCalls,
  groupId: string,
  partitions: readonly TopicPartitionInput[] | null,
  options: CallOptions & { readonly requireStable?: boolean },
): Promise<GroupOffset[]> {
  const topics =
    partitions === null
      ? null
      : byTopic(partitions).map(([name, list]) => ({ name, partitionIndexes: list.map(({ partition }) => partition) }));
  const body = { groups: [{ groupId, topics }], requireStable: options.requireStable ?? false };
  const callOptions = { ...options, versionMax: offsetFetchVersionWithNames };
  const answer = await calls.coordinator("group", groupId, ApiKey.OffsetFetch, body, callOptions, (all) =>
    throwCode(all.groups[0]?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, `offsets of group ${groupId}`),
  );
  return answer.groups[0]!.topics.flatMap((topic) =>
    topic.partitions.map((partition) => ({
      topic: topic.name,
      partition: partition.partitionIndex,
      offset: numberFromInt64(partition.committedOffset) ?? -1,
      leaderEpoch: partition.committedLeaderEpoch,
      metadata: partition.metadata,
      error: itemError(partition.errorCode, `${topic.name}-${partition.partitionIndex} of group ${groupId}`),
    })),
  );
}

/** Commits offsets for a group without members. */
export async function alterGroupOffsets(
  calls: AdminCalls,
  groupId: string,
  offsets: readonly NewGroupOffset[],
  options: CallOptions,
): Promise<(TopicPartitionInput & ItemResult)[]> {
  const body = {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: "",
    topics: byTopic(offsets).map(([name, list]) => ({
      name,
      partitions: list.map(({ partition, offset, leaderEpoch, metadata }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedLeaderEpoch: leaderEpoch ?? -1,
        committedMetadata: metadata ?? "",
      })),
    })),
  };
  const callOptions = { ...options, versionMax: offsetCommitVersionWithNames };
  const check = (all: ResponseOf<typeof ApiKey.OffsetCommit>): void => {
    const codes = all.topics.flatMap((topic) => topic.partitions.map(({ errorCode }) => errorCode));
    const first = codes.find((code) => coordinatorErrors.has(code));
    if (first !== undefined) throw errorFromCode(first, `group ${groupId}`);
  };
  const answer = await calls.coordinator("group", groupId, ApiKey.OffsetCommit, body, callOptions, check);
  return partitionResults(answer.topics, groupId);
}

/** Forgets committed offsets of partitions that nobody in the group is subscribed to. */
export async function deleteGroupOffsets(
  calls: AdminCalls,
  groupId: string,
  partitions: readonly TopicPartitionInput[],
  options: CallOptions,
): Promise<(TopicPartitionInput & ItemResult)[]> {
  const body = {
    groupId,
    topics: byTopic(partitions).map(([name, list]) => ({
      name,
      partitions: list.map(({ partition }) => ({ partitionIndex: partition })),
    })),
  };
  const answer = await calls.coordinator("group", groupId, ApiKey.OffsetDelete, body, options, (all) =>
    throwCode(all.errorCode, `group ${groupId}`),
  );
  return partitionResults(answer.topics, groupId);
}

/** In the order of `groupIds`. */
export function deleteGroups(
  calls: AdminCalls,
  groupIds: readonly string[],
  options: CallOptions,
): Promise<({ readonly groupId: string } & ItemResult)[]> {
  return Promise.all(
    groupIds.map(async (groupId) => {
      try {
        await calls.coordinator("group", groupId, ApiKey.DeleteGroups, { groupsNames: [groupId] }, options, (all) =>
          throwCode(all.results[0]?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, `group ${groupId}`),
        );
        return { groupId, error: null };
      } catch (error) {
        if (error instanceof KafkaError) return { groupId, error };
        throw clientError("UNKNOWN_SERVER_ERROR", String(error), error);
      }
    }),
  );
}

const coordinatorErrors: ReadonlySet<number> = new Set([
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
]);

export function byTopic<Item extends TopicPartitionInput>(items: readonly Item[]): [string, Item[]][] {
  const topics = new Map<string, Item[]>();
  for (const item of items) {
    const list = topics.get(item.topic);
    if (list === undefined) topics.set(item.topic, [item]);
    else list.push(item);
  }
  return [...topics];
}

function partitionResults(
  topics: readonly { name: string; partitions: readonly { partitionIndex: number; errorCode: number }[] }[],
  groupId: string,
): (TopicPartitionInput & ItemResult)[] {
  return topics.flatMap((topic) =>
    topic.partitions.map(({ partitionIndex, errorCode }) => ({
      topic: topic.name,
      partition: partitionIndex,
      error: itemError(errorCode, `${topic.name}-${partitionIndex} of group ${groupId}`),
    })),
  );
}
