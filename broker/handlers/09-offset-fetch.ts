// OffsetFetch v1–10. v7: requireStable (KIP-447). v8: several groups at once. v9: member epochs (KIP-848). v10: topics by id. What a topic that
// is not allowed has committed is not told; when all are asked for, such topics are left out.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import type { OffsetFetchAnswer, PartitionFetched } from "@blumfeld/core/coordinator";
import {
  type ApiKey,
  ErrorCode,
  type OffsetFetchResponseGroupInit,
  type OffsetFetchResponseInit,
  type RequestOf,
} from "@blumfeld/core/protocol";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

type Context = RequestContext<typeof ApiKey.OffsetFetch>;
type AskedGroup = RequestOf<typeof ApiKey.OffsetFetch>["groups"][number];

const groupErrorFrom = 2;
const severalGroupsFrom = 8;
const topicIdsFrom = 10;

export function createOffsetFetchHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.OffsetFetch> {
  return async (request, context) => {
    const { apiVersion } = context;
    if (apiVersion >= severalGroupsFrom) {
      const groups = await Promise.all(
        request.groups.map((group) => fetchGroup(parts, context, group, request.requireStable)),
      );
      return { throttleTimeMs: 0, groups };
    }
    const topics = request.topics?.map((topic) => ({ ...topic, topicId: uuidZero })) ?? null;
    const group = { groupId: request.groupId, memberId: null, memberEpoch: -1, topics };
    return singleGroup(group, await fetchGroup(parts, context, group, request.requireStable), apiVersion);
  };
}

/** Before v8 the one group's answer stands at the top; before v2 its error beside each partition. */
function singleGroup(
  asked: AskedGroup,
  group: OffsetFetchResponseGroupInit,
  apiVersion: number,
): OffsetFetchResponseInit {
  const errorCode = group.errorCode ?? ErrorCode.NONE;
  if (errorCode !== ErrorCode.NONE && apiVersion < groupErrorFrom) {
    const topics = (asked.topics ?? []).map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => unknown(partitionIndex, errorCode)),
    }));
    return { throttleTimeMs: 0, topics };
  }
  const topics = (group.topics ?? []).map(({ name, partitions }) => ({ name, partitions }));
  return { throttleTimeMs: 0, topics, errorCode };
}

function unknown(partitionIndex: number, errorCode: number): PartitionFetched {
  return { partitionIndex, committedOffset: -1n, committedLeaderEpoch: -1, metadata: "", errorCode };
}

async function fetchGroup(
  parts: GroupHandlerParts,
  context: Context,
  group: AskedGroup,
  isStableRequired: boolean,
): Promise<OffsetFetchResponseGroupInit> {
  const { groupId, memberId, memberEpoch } = group;
  if (!mayOnGroup(parts, context, AclOperation.Describe, groupId))
    return { groupId, errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED, topics: [] };
  const isById = context.apiVersion >= topicIdsFrom;
  const { asked, refusals } = resolve(parts, context, group, isById);
  const answer = await new Promise<OffsetFetchAnswer>((done) => {
    parts.coordinators.groups.read(
      groupId,
      "OffsetFetch",
      (shard) => shard.offsets.fetch({ groupId, memberId, memberEpoch, topics: asked, isStableRequired }),
      (outcome) => done(outcome.answer ?? { errorCode: outcome.errorCode, topics: [] }),
    );
  });
  if (answer.errorCode !== ErrorCode.NONE) return { groupId, errorCode: answer.errorCode, topics: [] };
  const { image } = parts.metadata;
  const topics = answer.topics.flatMap(({ name, partitions }) => {
    if (asked === null && !mayDescribe(parts, context, name)) return [];
    const topicId = isById ? image.topics.get(name)?.id : uuidZero;
    // Offsets of a topic that is gone cannot be told in a version without names.
    return topicId === undefined ? [] : [{ name, topicId, partitions }];
  });
  return { groupId, errorCode: ErrorCode.NONE, topics: [...topics, ...refusals] };
}

interface Resolved {
  readonly asked:
    | { readonly name: string; readonly topicId: Uuid; readonly partitionIndexes: readonly number[] }[]
    | null;
  readonly refusals: NonNullable<OffsetFetchResponseGroupInit["topics"]>[number][];
}

function resolve(parts: GroupHandlerParts, context: Context, group: AskedGroup, isById: boolean): Resolved {
  if (group.topics === null) return { asked: null, refusals: [] };
  const asked: NonNullable<Resolved["asked"]> = [];
  const refusals: Resolved["refusals"] = [];
  const refuse = (topic: { name: string; topicId: Uuid; partitionIndexes: number[] }, errorCode: number): void => {
    const partitions = topic.partitionIndexes.map((partitionIndex) => unknown(partitionIndex, errorCode));
    refusals.push({ name: topic.name, topicId: topic.topicId, partitions });
  };
  for (const topic of group.topics) {
    const name = isById ? parts.metadata.image.topics.byId.get(topic.topicId)?.name : topic.name;
    if (name === undefined) refuse(topic, ErrorCode.UNKNOWN_TOPIC_ID);
    else if (!mayDescribe(parts, context, name)) refuse(topic, ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    else asked.push({ name, topicId: topic.topicId, partitionIndexes: topic.partitionIndexes });
  }
  return { asked, refusals };
}

function mayDescribe(parts: GroupHandlerParts, context: Context, topic: string): boolean {
  return parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, topic);
}
