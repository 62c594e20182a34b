// DescribeShareGroupOffsets v0–1 (KIP-932). v1: the lag, finished records left out (KIP-1226).
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import {
  type ApiKey,
  type DescribeShareGroupOffsetsRequestGroup,
  type DescribeShareGroupOffsetsResponseGroupInit,
  ErrorCode,
} from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler, RequestContext } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import type { ShareGroupStates } from "../share/share-group-states.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

type Parts = BrokerParts & GroupHandlerParts & { readonly shareStates: ShareGroupStates };
type Described = DescribeShareGroupOffsetsResponseGroupInit;
type DescribedTopic = NonNullable<Described["topics"]>[number];
type DescribedPartition = NonNullable<DescribedTopic["partitions"]>[number];

const unknown = { startOffset: -1n, leaderEpoch: 0, lag: -1n };

export function createDescribeShareGroupOffsetsHandler(parts: Parts): Handler<typeof ApiKey.DescribeShareGroupOffsets> {
  return async (request, context) => ({
    throttleTimeMs: 0,
    groups: await Promise.all(request.groups.map((group) => describeGroup(parts, context as RequestContext, group))),
  });
}

async function describeGroup(
  parts: Parts,
  context: RequestContext,
  { groupId, topics }: DescribeShareGroupOffsetsRequestGroup,
): Promise<Described> {
  const failed = (errorCode: number, errorMessage: string | null = null): Described => ({
    ...{ groupId, topics: [], errorCode, errorMessage },
  });
  if (!parts.coordinators.groups.config.isShareProtocolEnabled) return failed(ErrorCode.UNSUPPORTED_VERSION);
  if (!mayOnGroup(parts, context, AclOperation.Describe, groupId)) return failed(ErrorCode.GROUP_AUTHORIZATION_FAILED);
  if (groupId === "") return failed(ErrorCode.INVALID_GROUP_ID);
  const { errorCode, group } = await parts.shareStates.known(groupId);
  if (errorCode !== ErrorCode.NONE) return failed(errorCode);
  if (group === null) return failed(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} not found.`);
  const mayDescribe = (topic: string): boolean =>
    parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Topic, topic);
  const asked =
    topics ??
    [...group.initialized.values()]
      .filter(({ name }) => mayDescribe(name))
      .map(({ name, partitions }) => ({ topicName: name, partitions: [...partitions].sort((a, b) => a - b) }));
  const described = asked.map(async ({ partitions, topicName }): Promise<DescribedTopic> => {
    const topicId = parts.metadata.image.topics.get(topicName)?.id ?? uuidZero;
    const code = !mayDescribe(topicName)
      ? ErrorCode.TOPIC_AUTHORIZATION_FAILED
      : topicId === uuidZero
        ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        : ErrorCode.NONE;
    const rows = partitions.map((partitionIndex) =>
      code === ErrorCode.NONE
        ? describePartition(parts, groupId, topicId, partitionIndex)
        : { partitionIndex, ...unknown, errorCode: code },
    );
    return { topicName, topicId, partitions: await Promise.all(rows) };
  });
  return { groupId, topics: await Promise.all(described), errorCode: ErrorCode.NONE };
}

async function describePartition(
  parts: Parts,
  groupId: string,
  topicId: Uuid,
  partitionIndex: number,
): Promise<DescribedPartition> {
  const { shares } = parts.coordinators;
  const { errorCode, errorMessage, state } = await shares.anywhere.summary({
    groupId,
    topicId,
    partition: partitionIndex,
  });
  if (errorCode !== ErrorCode.NONE) return { partitionIndex, ...unknown, errorCode, errorMessage };
  if (state == null) return { partitionIndex, ...unknown, errorCode: ErrorCode.NONE };
  const { deliveryCompleteCount, leaderEpoch, startOffset } = state;
  const log = parts.partitions.getById(topicId, partitionIndex)?.log ?? null;
  const isKnown = log !== null && startOffset >= 0 && deliveryCompleteCount >= 0;
  const lag = isKnown ? Math.max(0, log.highWatermark - startOffset - deliveryCompleteCount) : -1;
  const offsets = { startOffset: BigInt(startOffset), leaderEpoch, lag: BigInt(lag) };
  return { partitionIndex, ...offsets, errorCode: ErrorCode.NONE };
}
