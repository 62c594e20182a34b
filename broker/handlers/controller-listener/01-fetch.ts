// Fetch v4–18 on a controller listener: the metadata log, read by brokers and other controllers (KIP-595). Kafka's limits: one partition,
// no sessions. What is not committed yet is read too: that is how it gets committed. v17 names the reader's directory, v18 its high watermark
// (KIP-1166). A fetch that finds nothing waits until the log's end or its high watermark moves, or its time is over.
import { uuidZero } from "@blumfeld/core/base";
import type { ReadOutcome } from "@blumfeld/core/log";
import { clusterMetadataTopic } from "@blumfeld/core/model";
import { type ApiKey, ErrorCode, type FetchRequest, type FetchResponseInit } from "@blumfeld/core/protocol";
import { clusterProblem, leaderProblem, quorumFetchBytesMax } from "@blumfeld/core/quorum";
import { type ControllerParts, leaderEndpoint } from "../../controller-listener/controller-parts.ts";
import { type Handler, type RequestContext, RequestError } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { requireClusterOperation } from "./require-cluster.ts";

/** The metadata topic has an id that Kafka reserves for it. */
export const clusterMetadataTopicId = "AAAAAAAAAAAAAAAAAAAAAQ";
/** Where answers name the leader's address. */
const leaderEndpointVersion = 17;
/** Nobody waits longer, whatever was asked for. */
export const controllerFetchWaitMsMax = 5 * 60 * 1000;

type Context = RequestContext<typeof ApiKey.Fetch>;
type Partition = FetchRequest["topics"][number]["partitions"][number];
type PartitionAnswer = FetchResponseInit["responses"][number]["partitions"][number];

export function createControllerFetchHandler(parts: ControllerParts): Handler<typeof ApiKey.Fetch> {
  return async (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    const cluster = clusterProblem({ clusterId: parts.clusterId }, request.clusterId);
    if (cluster !== null) throw new RequestError(cluster, `this is cluster ${parts.clusterId}`);
    const partition = onlyPartition(request);
    if (partition === undefined) throw new RequestError(ErrorCode.INVALID_REQUEST, "one partition can be fetched");
    const fetch = new ControllerFetch(parts, request, context, partition);
    const now = await fetch.answer();
    if (fetch.isWorthAnswering(now)) return fetch.response(now);
    await fetch.wait();
    // Whoever left meanwhile is not counted as alive.
    return context.connection.isOpen ? fetch.response(await fetch.answer()) : null;
  };
}

function onlyPartition(request: FetchRequest): Partition | undefined {
  const [topic, ...others] = request.topics;
  if (topic === undefined || others.length > 0 || topic.topicId !== clusterMetadataTopicId) return undefined;
  const [first] = topic.partitions;
  return topic.partitions.length === 1 && first!.partition === 0 ? first : undefined;
}

class ControllerFetch {
  private readonly parts: ControllerParts;
  private readonly request: FetchRequest;
  private readonly context: Context;
  private readonly partition: Partition;

  constructor(parts: ControllerParts, request: FetchRequest, context: Context, partition: Partition) {
    this.parts = parts;
    this.request = request;
    this.context = context;
    this.partition = partition;
  }

  async answer(): Promise<PartitionAnswer> {
    const { currentLeaderEpoch, fetchOffset, lastFetchedEpoch } = this.partition;
    const offset = Number(fetchOffset);
    const { nodeId, leaderAndEpoch: leader } = this.parts.quorum;
    if (this.request.maxWaitMs < 0 || offset < 0 || lastFetchedEpoch < 0 || currentLeaderEpoch < 0) {
      return this.empty(ErrorCode.INVALID_REQUEST);
    }
    const problem = leaderProblem({ leader, nodeId }, currentLeaderEpoch);
    return problem === null ? this.found(offset, lastFetchedEpoch) : this.empty(problem);
  }

  private async found(offset: number, lastFetchedEpoch: number): Promise<PartitionAnswer> {
    const { quorum } = this.parts;
    const position = quorum.checkPosition(offset, lastFetchedEpoch);
    const answer = { ...this.empty(ErrorCode.NONE), highWatermark: quorum.highWatermark };
    switch (position.kind) {
      case "diverging":
        return { ...answer, divergingEpoch: { epoch: position.epoch, endOffset: position.endOffset } };
      case "snapshot":
        return { ...answer, snapshotId: position.id };
      case "valid": {
        quorum.onReplicaFetch(this.replica, offset, this.context.nowMs);
        return { ...answer, records: await bytesOf(quorum.read(offset, this.bytesMax)) };
      }
    }
  }

  private get replica() {
    const { replicaId, replicaState } = this.request;
    const id = replicaState.replicaId >= 0 ? replicaState.replicaId : replicaId;
    return { id, directoryId: this.partition.replicaDirectoryId };
  }

  private get bytesMax(): number {
    // Kafka's own readers name no bound of the partition before 4.3.
    const { partitionMaxBytes } = this.partition;
    const asked = partitionMaxBytes > 0 ? Math.min(partitionMaxBytes, this.request.maxBytes) : this.request.maxBytes;
    return Math.max(0, Math.min(asked, quorumFetchBytesMax));
  }

  private empty(errorCode: ErrorCode): PartitionAnswer {
    const { leaderAndEpoch, logStartOffset } = this.parts.quorum;
    const currentLeader = { leaderId: leaderAndEpoch.leaderId, leaderEpoch: leaderAndEpoch.epoch };
    return {
      ...{ partitionIndex: 0, errorCode, highWatermark: -1, logStartOffset, currentLeader },
      ...{ records: Buffer.alloc(0), abortedTransactions: [] },
    };
  }

  isWorthAnswering(answer: PartitionAnswer): boolean {
    if (answer.errorCode !== ErrorCode.NONE || this.request.maxWaitMs === 0) return true;
    if (answer.divergingEpoch !== undefined || answer.snapshotId !== undefined) return true;
    if ((answer.records as Buffer).length > 0) return true;
    // KIP-1166: a reader learns at once that what it has is committed.
    return BigInt(answer.highWatermark) > BigInt(this.partition.highWatermark);
  }

  /** Resolves when the log has moved, the time is over or the reader has gone. */
  wait(): Promise<void> {
    const { quorum, timers } = this.parts;
    const { connection } = this.context;
    return new Promise((resolve) => {
      const end = (): void => {
        forgetLog();
        forgetConnection();
        timer.cancel();
        resolve();
      };
      const forgetLog = quorum.whenAdvanced(end);
      const forgetConnection = connection.whenClosed(end);
      const timer = timers.after(Math.min(this.request.maxWaitMs, controllerFetchWaitMsMax), end);
    });
  }

  response(partition: PartitionAnswer): FetchResponseInit {
    const { apiVersion, listenerName } = this.context;
    const endpoint = apiVersion < leaderEndpointVersion ? null : leaderEndpoint(this.parts, listenerName);
    const topic = { topic: clusterMetadataTopic, topicId: this.request.topics[0]?.topicId ?? uuidZero };
    return {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      responses: [{ ...topic, partitions: [partition] }],
      nodeEndpoints:
        endpoint === null ? [] : [{ nodeId: endpoint.nodeId, host: endpoint.host, port: endpoint.port, rack: null }],
    };
  }
}

/** From the page cache where this process wrote it lately, else through the thread pool. */
async function bytesOf(outcome: ReadOutcome): Promise<Buffer> {
  if (outcome.kind !== "slice") return Buffer.alloc(0);
  const bytes = Buffer.allocUnsafeSlow(outcome.sizeBytes);
  const count = outcome.isRecent
    ? outcome.file.read(bytes, outcome.position)
    : await outcome.file.readLater(bytes, outcome.position);
  return bytes.subarray(0, count);
}
