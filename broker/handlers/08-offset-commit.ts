// OffsetCommit v2–10. v2 to v4 carry a retention of their own. v7: static members. v9: member epochs of consumer groups (KIP-848). v10: topics by
// id. A topic that is not there or not allowed is answered for itself; the rest is committed.
import { uuidZero } from "@blumfeld/core/base";
import type { TopicToCommit } from "@blumfeld/core/coordinator";
import { type ApiKey, ErrorCode, type OffsetCommitResponseInit, type RequestOf } from "@blumfeld/core/protocol";
import { answerAtTurnEnd, type Handler } from "../request-context.ts";
import { AclOperation } from "../security-seam.ts";
import { type GroupHandlerParts, mayReadGroup, topicForGroups } from "./group-rules.ts";

type AskedTopic = RequestOf<typeof ApiKey.OffsetCommit>["topics"][number];
type AnsweredTopic = OffsetCommitResponseInit["topics"][number];

const topicIdsFrom = 10;

/** A committed offset may be asked to live 140,000 years, so that its end is still a number. */
const retentionMsMax = 2 ** 52;

export function createOffsetCommitHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.OffsetCommit> {
  return (request, context) => {
    const all = (errorCode: number): OffsetCommitResponseInit => ({
      topics: request.topics.map((topic) => withError(topic, errorCode)),
    });
    if (!mayReadGroup(parts, context, request.groupId)) return all(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    const { apiVersion } = context;
    const isById = apiVersion >= topicIdsFrom;
    /** In the order asked: an error, or what goes on to the group. */
    const found = request.topics.map((topic) => topicForGroups(parts, context, AclOperation.Read, topic, isById));
    const topics: TopicToCommit[] = [];
    found.forEach((each, index) => {
      if (!("errorCode" in each)) topics.push({ ...each, partitions: request.topics[index]!.partitions });
    });
    const refusals = request.topics.flatMap((topic, index) => {
      const each = found[index]!;
      return "errorCode" in each ? [withError(topic, each.errorCode)] : [];
    });
    if (topics.length === 0) return { topics: refusals };
    const committer = {
      memberId: request.memberId,
      groupInstanceId: request.groupInstanceId,
      generationOrEpoch: request.generationIdOrMemberEpoch,
      isTransactional: false,
      apiVersion,
    };
    const retentionMs = Math.max(-retentionMsMax, Math.min(Number(request.retentionTimeMs), retentionMsMax));
    parts.coordinators.groups.write(
      request.groupId,
      "OffsetCommit",
      (shard, nowMs) => shard.offsets.commit({ groupId: request.groupId, committer, retentionMs, topics }, nowMs),
      ({ errorCode, answer }) => {
        const committed: AnsweredTopic[] =
          answer !== undefined && "topics" in answer
            ? answer.topics.map((topic) => ({ ...topic, topicId: isById ? topic.topicId : uuidZero }))
            : topics.map((topic) => withError(topic, answer?.errorCode ?? errorCode));
        context.answer({ topics: [...committed, ...refusals] });
      },
    );
    return answerAtTurnEnd;
  };
}

function withError(
  topic: Pick<AskedTopic, "name"> & { readonly topicId?: AskedTopic["topicId"] } & {
    readonly partitions: readonly { readonly partitionIndex: number }[];
  },
  errorCode: number,
): AnsweredTopic {
  return {
    name: topic.name,
    topicId: topic.topicId,
    partitions: topic.partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
  };
}
