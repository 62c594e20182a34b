// What the five APIs of the share coordinator (83–87) have in common: only brokers may ask, and each partition has its own answer.
import type { Uuid } from "@blumfeld/core/base";
import type { ShareKey, ShareOutcome } from "@blumfeld/core/coordinator";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { AclOperation, clusterResourceName, type RequestOrigin, ResourceType } from "../security-seam.ts";
import type { Coordinators } from "../shards/coordinators.ts";

export type ShareStateParts = Pick<BrokerParts, "authorizer" | "metadata"> & { readonly coordinators: Coordinators };

interface Topic<Asked> {
  readonly topicId: Uuid;
  readonly partitions: readonly Asked[];
}

/** `ask` for each partition that there is; the answers in the order of the request. */
export async function eachSharePartition<
  Asked extends { readonly partition: number },
  Answer extends ShareOutcome,
  Row,
>(
  parts: ShareStateParts,
  origin: RequestOrigin,
  request: { readonly groupId: string; readonly topics: readonly Topic<Asked>[] },
  ask: (key: ShareKey, asked: Asked) => Promise<Answer | ShareOutcome>,
  row: (outcome: Answer | ShareOutcome, asked: Asked) => Row,
): Promise<{ topicId: Uuid; partitions: Row[] }[]> {
  const { groupId, topics } = request;
  const isBroker = parts.authorizer.authorize(
    origin,
    AclOperation.ClusterAction,
    ResourceType.Cluster,
    clusterResourceName,
  );
  const refused = (errorCode: number): ShareOutcome => ({ errorCode, errorMessage: null });
  const answerOf = (topicId: Uuid, asked: Asked): Promise<Answer | ShareOutcome> | ShareOutcome => {
    const { partition } = asked;
    if (!isBroker) return refused(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
    if (groupId === "") return refused(ErrorCode.INVALID_REQUEST);
    if (parts.metadata.image.topics.byId.get(topicId)?.partitions[partition] === undefined)
      return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    return ask({ groupId, topicId, partition }, asked);
  };
  return Promise.all(
    topics.map(async ({ topicId, partitions }) => ({
      topicId,
      partitions: await Promise.all(partitions.map(async (asked) => row(await answerOf(topicId, asked), asked))),
    })),
  );
}
