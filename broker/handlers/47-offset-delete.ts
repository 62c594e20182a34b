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
    if (groupId === "") return refused(ErrorCode.INVALID_GROUP_ID);
    const topics: { name: string; partitionIndexes: number[] }[] = [];
    const refusals: OffsetDeleteResponseInit["topics"][number][] = [];
    for (const { name, partitions } of request.topics) {
      const mayRead = parts.authorizer.authorize(context, AclOperation.Read, ResourceType.Topic, name);
      const partitionCount = parts.metadata.image.topics.get(name)?.partitions.length ?? 0;
      const known: number[] = [];
      const refused: { partitionIndex: number; errorCode: number }[] = [];
      for (const { partitionIndex } of partitions) {
        if (!mayRead) refused.push({ partitionIndex, errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED });
        else if (partitionIndex >= 0 && partitionIndex < partitionCount) known.push(partitionIndex);
        else refused.push({ partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION });
      }
      if (known.length > 0) topics.push({ name, partitionIndexes: known });
      if (refused.length > 0) refusals.push({ name, partitions: refused });
    }
    parts.coordinators.groups.write(
      groupId,
      "OffsetDelete",
      (shard) => shard.offsets.delete({ groupId, topics }),
      ({ errorCode, answer }) => {
        if (answer === undefined || answer.errorCode !== ErrorCode.NONE)
          return context.answer(refused(answer?.errorCode ?? errorCode));
        context.answer({ errorCode: ErrorCode.NONE, throttleTimeMs: 0, topics: merged(answer.topics, refusals) });
      },
    );
    return answerLater;
  };
}

type Topics = OffsetDeleteResponseInit["topics"];

/** One entry a topic, also where some of its partitions were answered by the group and some were not asked of it. */
function merged(answered: Topics, refusals: Topics): Topics {
  const byName = new Map(answered.map((topic) => [topic.name, topic]));
  for (const { name, partitions } of refusals)
    byName.set(name, { name, partitions: [...(byName.get(name)?.partitions ?? []), ...partitions] });
  return [...byName.values()];
}
