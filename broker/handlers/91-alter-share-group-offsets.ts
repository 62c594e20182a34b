// AlterShareGroupOffsets v0 (KIP-932): an empty group goes on from other offsets. Its state of those partitions begins anew there.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import type { SharedTopic } from "@blumfeld/core/coordinator";
import {
  type AlterShareGroupOffsetsRequest,
  type AlterShareGroupOffsetsResponseInit,
  type ApiKey,
  ErrorCode,
} from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation } from "../security-seam.ts";
import type { ShareBroker } from "../share/share-broker.ts";
import type { ShareGroupStates } from "../share/share-group-states.ts";
import { type GroupHandlerParts, mayReadGroup, topicForGroups } from "./group-rules.ts";

type Parts = BrokerParts &
  GroupHandlerParts & { readonly shareBroker: ShareBroker; readonly shareStates: ShareGroupStates };
type Response = AlterShareGroupOffsetsResponseInit;
type Topic = NonNullable<Response["responses"]>[number];

export function createAlterShareGroupOffsetsHandler(parts: Parts): Handler<typeof ApiKey.AlterShareGroupOffsets> {
  return async (request, context) => {
    const { groupId } = request;
    const failed = (errorCode: number, errorMessage: string | null = null): Response => ({
      ...{ throttleTimeMs: 0, errorCode, errorMessage, responses: [] },
    });
    if (!parts.coordinators.groups.config.isShareProtocolEnabled) return failed(ErrorCode.UNSUPPORTED_VERSION);
    if (!mayReadGroup(parts, context, groupId)) return failed(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    if (groupId === "") return failed(ErrorCode.INVALID_GROUP_ID);
    const { errorCode, group } = await parts.shareStates.known(groupId);
    if (errorCode !== ErrorCode.NONE) return failed(errorCode);
    if (group === null) return failed(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} not found.`);
    if (!group.isEmpty) return failed(ErrorCode.NON_EMPTY_GROUP);
    const done = new Map<Uuid, SharedTopic>();
    const responses = await Promise.all(
      request.topics.map((topic) =>
        alterTopic(parts, context as RequestContext, groupId, group.groupEpoch, topic, done),
      ),
    );
    if (done.size > 0) {
      const confirmed = await parts.shareStates.confirm(groupId, done);
      if (confirmed !== ErrorCode.NONE) return failed(confirmed);
    }
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, responses };
  };
}

async function alterTopic(
  parts: Parts,
  context: RequestContext,
  groupId: string,
  stateEpoch: number,
  { partitions, topicName }: AlterShareGroupOffsetsRequest["topics"][number],
  done: Map<Uuid, SharedTopic>,
): Promise<Topic> {
  const { shares } = parts.coordinators;
  const named = { name: topicName, topicId: uuidZero };
  const found = topicForGroups(parts, context, AclOperation.Read, named, false);
  if ("errorCode" in found) {
    const { errorCode } = found;
    return {
      topicName,
      topicId: uuidZero,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    };
  }
  const { topicId } = found;
  const altered = new Set<number>();
  const answers = partitions.map(async ({ partitionIndex, startOffset }) => {
    if (parts.metadata.image.topics.partition(topicName, partitionIndex) === undefined)
      return { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
    const key = { groupId, topicId, partition: partitionIndex };
    const { errorCode, errorMessage } = await shares.persistently(() =>
      shares.anywhere.initialize(key, { stateEpoch, startOffset: Number(startOffset) }),
    );
    if (errorCode === ErrorCode.NONE) altered.add(partitionIndex);
    return { partitionIndex, errorCode, errorMessage };
  });
  const rows = await Promise.all(answers);
  parts.shareBroker.hosted.forget(groupId, new Set([topicId]));
  if (altered.size > 0) done.set(topicId, { name: topicName, partitions: altered });
  return { topicName, topicId, partitions: rows };
}
