// FetchSnapshot v0–1 (KIP-630): a piece of a snapshot of the metadata, at any position. The snapshot that formatting left is not given out.
import { clusterMetadataTopic } from "@blumfeld/core/model";
import {
  type ApiKey,
  ErrorCode,
  type FetchSnapshotRequest,
  type FetchSnapshotResponseInit,
} from "@blumfeld/core/protocol";
import {
  bootstrapSnapshotId,
  clusterProblem,
  leaderProblem,
  quorumFetchBytesMax,
  type SnapshotId,
} from "@blumfeld/core/quorum";
import { type ControllerParts, leaderEndpoints } from "../../controller-listener/controller-parts.ts";
import { type Handler, RequestError } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { requireClusterOperation } from "./require-cluster.ts";

/** Older versions have no place for addresses. */
const endpointsVersion = 1;

type TopicRequest = FetchSnapshotRequest["topics"][number];
type PartitionRequest = TopicRequest["partitions"][number];
type PartitionAnswer = FetchSnapshotResponseInit["topics"][number]["partitions"][number];

export function createFetchSnapshotHandler(parts: ControllerParts): Handler<typeof ApiKey.FetchSnapshot> {
  return async (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    const cluster = clusterProblem({ clusterId: parts.clusterId }, request.clusterId);
    if (cluster !== null) throw new RequestError(cluster, `this is cluster ${parts.clusterId}`);
    const [topic] = request.topics;
    const asked = topic?.partitions[0];
    if (request.topics.length !== 1 || topic!.partitions.length !== 1) {
      throw new RequestError(ErrorCode.INVALID_REQUEST, "one snapshot of one partition can be fetched");
    }
    const partition = await answerOf(parts, topic!, asked!, request.maxBytes);
    return {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      topics: [{ name: topic!.name, partitions: [partition] }],
      nodeEndpoints: context.apiVersion < endpointsVersion ? [] : leaderEndpoints(parts, context.listenerName),
    };
  };
}

async function answerOf(
  parts: ControllerParts,
  { name }: TopicRequest,
  asked: PartitionRequest,
  bytesMax: number,
): Promise<PartitionAnswer> {
  const { quorum } = parts;
  const { epoch, leaderId } = quorum.leaderAndEpoch;
  const none = { snapshotId: { endOffset: 0, epoch: 0 }, size: 0, position: 0, unalignedRecords: Buffer.alloc(0) };
  const currentLeader = { leaderId, leaderEpoch: epoch };
  const refused = (errorCode: ErrorCode): PartitionAnswer => ({
    ...none,
    ...{ index: asked.partition, errorCode, currentLeader },
  });
  if (name !== clusterMetadataTopic || asked.partition !== 0) return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const problem = leaderProblem({ leader: quorum.leaderAndEpoch, nodeId: quorum.nodeId }, asked.currentLeaderEpoch);
  if (problem !== null) return refused(problem);
  const id: SnapshotId = { endOffset: Number(asked.snapshotId.endOffset), epoch: asked.snapshotId.epoch };
  const isBootstrap = id.endOffset === bootstrapSnapshotId.endOffset && id.epoch === bootstrapSnapshotId.epoch;
  const file = isBootstrap || id.endOffset < 0 || id.epoch < 0 ? null : quorum.openSnapshot(id);
  if (file === null) return refused(ErrorCode.SNAPSHOT_NOT_FOUND);
  try {
    const size = file.sizeBytes();
    const position = Number(asked.position);
    if (position < 0 || position >= size) return refused(ErrorCode.POSITION_OUT_OF_RANGE);
    const length = Math.max(0, Math.min(bytesMax, quorumFetchBytesMax, size - position));
    const bytes = Buffer.allocUnsafeSlow(length);
    const count = await file.readLater(bytes, position);
    return {
      ...{ index: 0, errorCode: ErrorCode.NONE, snapshotId: id, currentLeader, size, position },
      unalignedRecords: bytes.subarray(0, count),
    };
  } finally {
    file.close();
  }
}
