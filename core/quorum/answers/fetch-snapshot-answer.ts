// FetchSnapshot v0–1 (KIP-630): a piece of a snapshot of the metadata, at any position. The snapshot that formatting left is not given out.
import { clusterMetadataTopic } from "../../model/index.ts";
import { ErrorCode, type FetchSnapshotRequest, type FetchSnapshotResponseInit } from "../../protocol/index.ts";
import type { SnapshotId } from "../metadata-quorum.ts";
import type { QuorumCore } from "../quorum-core.ts";
import { bootstrapSnapshotId, quorumFetchBytesMax } from "../replicated-log.ts";
import { Leader } from "../roles/leader.ts";
import { snapshotFileName } from "../snapshot-id.ts";
import { clusterProblem, leaderEndpoints, leaderProblem } from "./peer-answers.ts";
import type { PeerContext } from "./peer-context.ts";

/** Older versions have no place for addresses. */
const endpointsVersion = 1;

type TopicRequest = FetchSnapshotRequest["topics"][number];
type PartitionRequest = TopicRequest["partitions"][number];
type PartitionAnswer = FetchSnapshotResponseInit["topics"][number]["partitions"][number];

export async function onFetchSnapshot(
  core: QuorumCore,
  request: FetchSnapshotRequest,
  context: PeerContext,
): Promise<FetchSnapshotResponseInit> {
  const [topic] = request.topics;
  const asked = topic?.partitions[0];
  const problem =
    clusterProblem(core.clusterId, request.clusterId) ??
    (request.topics.length !== 1 || topic!.partitions.length !== 1 ? ErrorCode.INVALID_REQUEST : null);
  if (problem !== null) return { throttleTimeMs: 0, errorCode: problem, topics: [], nodeEndpoints: [] };
  const { role } = core;
  if (role instanceof Leader) role.onSnapshotFetch({ id: request.replicaId, directoryId: asked!.replicaDirectoryId });
  const partition = await answerOf(core, topic!, asked!, request.maxBytes);
  return {
    throttleTimeMs: 0,
    errorCode: ErrorCode.NONE,
    topics: [{ name: topic!.name, partitions: [partition] }],
    nodeEndpoints: context.apiVersion < endpointsVersion ? [] : leaderEndpoints(core, context.listenerName),
  };
}

async function answerOf(
  core: QuorumCore,
  { name }: TopicRequest,
  asked: PartitionRequest,
  bytesMax: number,
): Promise<PartitionAnswer> {
  const { disk, log } = { disk: core.options.disk, log: core.log };
  const { epoch, leaderId } = core.leader;
  const none = { snapshotId: { endOffset: 0, epoch: 0 }, size: 0, position: 0, unalignedRecords: Buffer.alloc(0) };
  const currentLeader = { leaderId, leaderEpoch: epoch };
  const refused = (errorCode: ErrorCode): PartitionAnswer => ({
    ...none,
    ...{ index: asked.partition, errorCode, currentLeader },
  });
  if (name !== clusterMetadataTopic || asked.partition !== 0) return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const problem = leaderProblem(core, asked.currentLeaderEpoch);
  if (problem !== null) return refused(problem);
  const id: SnapshotId = { endOffset: Number(asked.snapshotId.endOffset), epoch: asked.snapshotId.epoch };
  const isBootstrap = id.endOffset === bootstrapSnapshotId.endOffset && id.epoch === bootstrapSnapshotId.epoch;
  const path = `${log.path}/${snapshotFileName(id)}`;
  const isHere = !isBootstrap && id.endOffset >= 0 && id.epoch >= 0 && disk.status(path) !== null;
  if (!isHere) return refused(ErrorCode.SNAPSHOT_NOT_FOUND);
  const file = disk.open(path, "read");
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
