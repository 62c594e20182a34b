// Fetch v12–18 of the metadata log (KIP-595), by brokers and other controllers. Kafka's limits: one partition, no sessions. What is not
// committed yet is read too: that is how it gets committed. v17 names the reader's directory, v18 its high watermark (KIP-1166). A fetch
// that finds nothing waits until the log's end, its high watermark or the leader moves, or its time is over. Null: the reader has gone.
import { uuidMetadataTopic, uuidZero } from "../../base/index.ts";
import type { ReadOutcome } from "../../log/index.ts";
import { clusterMetadataTopic, type Offset } from "../../model/index.ts";
import { ErrorCode, type FetchRequest, type FetchResponseInit } from "../../protocol/index.ts";
import type { QuorumCore } from "../quorum-core.ts";
import { checkPosition, quorumFetchBytesMax } from "../replicated-log.ts";
import { Leader } from "../roles/leader.ts";
import { clusterProblem, leaderEndpoints, leaderProblem } from "./peer-answers.ts";
import type { PeerContext } from "./peer-context.ts";

/** Where answers name the leader's address. */
const leaderEndpointVersion = 17;
/** Nobody waits longer, whatever was asked for. */
export const controllerFetchWaitMsMax = 5 * 60 * 1000;

type Partition = FetchRequest["topics"][number]["partitions"][number];
type PartitionAnswer = FetchResponseInit["responses"][number]["partitions"][number];

export async function onFetch(
  core: QuorumCore,
  request: FetchRequest,
  context: PeerContext,
): Promise<FetchResponseInit | null> {
  const cluster = clusterProblem(core.clusterId, request.clusterId);
  if (cluster !== null) return refusal(cluster);
  const partition = onlyPartition(request);
  if (partition === undefined) return refusal(ErrorCode.INVALID_REQUEST);
  const fetch = new QuorumFetch(core, request, context, partition);
  const now = await fetch.answer(context.nowMs);
  if (fetch.isWorthAnswering(now)) return fetch.response(now);
  await fetch.wait();
  // Whoever left meanwhile is not counted as alive.
  if (context.isOpen?.() === false) return null;
  return fetch.response(await fetch.answer(core.options.clock.wallMs()));
}

function refusal(errorCode: ErrorCode): FetchResponseInit {
  return { throttleTimeMs: 0, errorCode, responses: [], nodeEndpoints: [] };
}

function onlyPartition(request: FetchRequest): Partition | undefined {
  const [topic, ...others] = request.topics;
  if (topic === undefined || others.length > 0 || topic.topicId !== uuidMetadataTopic) return undefined;
  const [first] = topic.partitions;
  return topic.partitions.length === 1 && first!.partition === 0 ? first : undefined;
}

class QuorumFetch {
  private readonly core: QuorumCore;
  private readonly request: FetchRequest;
  private readonly context: PeerContext;
  private readonly partition: Partition;

  constructor(core: QuorumCore, request: FetchRequest, context: PeerContext, partition: Partition) {
    this.core = core;
    this.request = request;
    this.context = context;
    this.partition = partition;
  }

  async answer(nowMs: number): Promise<PartitionAnswer> {
    const { currentLeaderEpoch, fetchOffset, lastFetchedEpoch } = this.partition;
    const offset = Number(fetchOffset);
    if (this.request.maxWaitMs < 0 || offset < 0 || lastFetchedEpoch < 0 || currentLeaderEpoch < 0) {
      return this.empty(ErrorCode.INVALID_REQUEST);
    }
    const { core } = this;
    const problem = leaderProblem(core, currentLeaderEpoch);
    if (problem !== null) return this.empty(problem);
    const answer = await this.found(offset, lastFetchedEpoch, nowMs);
    // Reading may take its time. Who does not lead any more has perhaps cut its log, and read what came after.
    const changed = leaderProblem(core, currentLeaderEpoch);
    return changed === null ? answer : this.empty(changed);
  }

  private async found(offset: number, lastFetchedEpoch: number, nowMs: number): Promise<PartitionAnswer> {
    const { core } = this;
    const { earliest, latest } = core.keeper;
    const position = checkPosition(core.log, { earliest, latest }, offset, lastFetchedEpoch);
    if (position.kind === "valid") core.run(() => this.note(offset, nowMs));
    const answer = { ...this.empty(ErrorCode.NONE), highWatermark: core.highWatermark };
    switch (position.kind) {
      case "diverging":
        return { ...answer, divergingEpoch: { epoch: position.epoch, endOffset: position.endOffset } };
      case "snapshot":
        return { ...answer, snapshotId: position.id };
      case "valid": {
        const { log } = core;
        const how = { bytesMax: this.bytesMax, upTo: log.logEndOffset, minOneBatch: true };
        return { ...answer, records: await bytesOf(log.read(offset as Offset, how)) };
      }
    }
  }

  private note(offset: number, nowMs: number): void {
    const { replicaId, replicaState } = this.request;
    const id = replicaState.replicaId >= 0 ? replicaState.replicaId : replicaId;
    const { role } = this.core;
    if (role instanceof Leader) role.onFetch({ id, directoryId: this.partition.replicaDirectoryId }, offset, nowMs);
  }

  private get bytesMax(): number {
    // Kafka's own readers name no bound of the partition before 4.3.
    const { partitionMaxBytes } = this.partition;
    const asked = partitionMaxBytes > 0 ? Math.min(partitionMaxBytes, this.request.maxBytes) : this.request.maxBytes;
    return Math.max(0, Math.min(asked, quorumFetchBytesMax));
  }

  private empty(errorCode: ErrorCode): PartitionAnswer {
    const { leader, log } = this.core;
    const currentLeader = { leaderId: leader.leaderId, leaderEpoch: leader.epoch };
    return {
      ...{ partitionIndex: 0, errorCode, highWatermark: -1, logStartOffset: log.logStartOffset, currentLeader },
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
    const { core } = this;
    const { whenClosed } = this.context;
    return new Promise((resolve) => {
      const end = (): void => {
        forgetLog();
        forgetConnection();
        timer.cancel();
        resolve();
      };
      const forgetLog = core.whenAdvanced(end);
      const forgetConnection = whenClosed?.(end) ?? (() => {});
      const timer = core.options.timers.after(Math.min(this.request.maxWaitMs, controllerFetchWaitMsMax), end);
    });
  }

  response(partition: PartitionAnswer): FetchResponseInit {
    const { apiVersion, listenerName } = this.context;
    const endpoints = apiVersion < leaderEndpointVersion ? [] : leaderEndpoints(this.core, listenerName);
    const topic = { topic: clusterMetadataTopic, topicId: this.request.topics[0]?.topicId ?? uuidZero };
    return {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      responses: [{ ...topic, partitions: [partition] }],
      nodeEndpoints: endpoints.map((endpoint) => ({ ...endpoint, rack: null })),
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
