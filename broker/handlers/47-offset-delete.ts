// OffsetDelete v0. Offsets of a topic that a member is subscribed to stay, with GROUP_SUBSCRIBED_TO_TOPIC (KIP-496).
import { type ApiKey, ErrorCode, type OffsetDeleteResponseInit } from "@blumfeld/core/protocol";
import { answerLater, type Handler } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

export function createOffsetDeleteHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.OffsetDelete> {
  return (request, context) => {
    const { groupId } = request;
    const refused = (errorCode: number): OffsetDeleteResponseInit => ({ errorCode, throttleTimeMs: 0, topics: [] });
    if (!mayOnGroup(parts, context, AclOperation.Delete, groupId)) return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    const topicError = (name: string): number => {
      if (!parts.authorizer.authorize(context, AclOperation.Read, ResourceType.Topic, name))
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED;
      return parts.metadata.image.topics.get(name) === undefined
        ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        : ErrorCode.NONE;
    };
    const asked = request.topics.map(({ name, partitions }) => ({
      name,
      partitionIndexes: partitions.map(({ partitionIndex }) => partitionIndex),
      errorCode: topicError(name),
    }));
    const topics = asked.filter(({ errorCode }) => errorCode === ErrorCode.NONE);
    const refusals = asked
      .filter(({ errorCode }) => errorCode !== ErrorCode.NONE)
      .map(({ name, partitionIndexes, errorCode }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode })),
      }));
    parts.coordinators.groups.write(
      groupId,
      "OffsetDelete",
      (shard) => shard.offsets.delete({ groupId, topics }),
      ({ errorCode, answer }) => {
        if (answer === undefined || answer.errorCode !== ErrorCode.NONE)
          return context.answer(refused(answer?.errorCode ?? errorCode));
        context.answer({ errorCode: ErrorCode.NONE, throttleTimeMs: 0, topics: [...answer.topics, ...refusals] });
      },
    );
    return answerLater;
  };
}
