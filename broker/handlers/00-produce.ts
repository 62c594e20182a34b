// Produce, versions 3-13. Appends each partition's one batch to its log, answers when it is written (acks 1) or committed (acks -1).
//
//   7   zstd (KIP-110)       8   record errors (KIP-467)        10  leader hints (KIP-951)
//   9   flexible             11  transactions v2 (KIP-890)      13  topic ids (KIP-516)
//
// The records are views of the frame: the log takes them as they are and has written them by the turn's end. Errors stand beside their
// partition; only with acks=0, where nothing is answered, does an error end the connection, so that the client looks again.
import type { Uuid } from "@blumfeld/core/base";
import { type AppendOutcome, unpackedRecordsBytesMax } from "@blumfeld/core/log";
import {
  batchCodecId,
  batchHeaderBytes,
  batchIsTransactional,
  batchProducerEpoch,
  batchProducerId,
  isInternalTopic,
} from "@blumfeld/core/model";
import { type ApiKey, ErrorCode, type ProduceRequest, type ProduceResponseInit } from "@blumfeld/core/protocol";
import { WheelTimer } from "@blumfeld/host/process";
import type { Partition } from "../partition/partition.ts";
import type { WaitingAppend } from "../partition/waiting.ts";
import type { BrokerParts } from "../parts.ts";
import { answerAtTurnEnd, answerLater, type Handler, type RequestContext } from "../request-context.ts";
import { AclOperation, ResourceType } from "../security-seam.ts";
import { LeaderHints } from "./leader-hints.ts";
import { BatchUnpacker, type Unpacked } from "./packed-records.ts";

type Context = RequestContext<typeof ApiKey.Produce>;

const topicIdVersion = 13;
const zstdVersion = 7;
const leaderHintVersion = 10;
const zstdCodecId = 4;
/** The one client that may write to internal topics, by Kafka's convention. */
const adminClientId = "__admin_client";

export function createProduceHandler(parts: BrokerParts): Handler<typeof ApiKey.Produce> {
  const unpacker = new BatchUnpacker(parts);
  return (request, context) => new Produce(parts, unpacker, context, request).begin(request);
}

/** One partition of the request: waits in its partition's list, and is that partition's part of the answer. */
class ProducePartition implements WaitingAppend {
  readonly index: number;
  errorCode: number = ErrorCode.NONE;
  baseOffset = -1;
  logAppendTimeMs = -1;
  logStartOffset = -1;
  recordErrors: readonly { batchIndex: number; batchIndexErrorMessage: string | null }[] = noRecordErrors;
  errorMessage: string | null = null;
  currentLeader: { leaderId: number; leaderEpoch: number } | undefined = undefined;
  requiredOffset = 0;
  readonly needsCommit: boolean;
  private readonly produce: Produce;

  constructor(produce: Produce, index: number, needsCommit: boolean) {
    this.produce = produce;
    this.index = index;
    this.needsCommit = needsCommit;
  }

  onAppendDone(errorCode: number): void {
    if (errorCode !== ErrorCode.NONE) this.refuse(errorCode);
    this.produce.onPartitionDone(this);
  }

  refuse(errorCode: number, message: string | null = null): void {
    this.errorCode = errorCode;
    this.errorMessage = message;
    this.baseOffset = -1;
    this.logAppendTimeMs = -1;
  }
}

const noRecordErrors: readonly never[] = [];

class Produce extends WheelTimer {
  private readonly parts: BrokerParts;
  private readonly unpacker: BatchUnpacker;
  private readonly context: Context;
  private readonly acks: number;
  private readonly timeoutMs: number;
  private readonly transactionalId: string | null;
  private readonly responses: { name: string; topicId: Uuid; partitionResponses: ProducePartition[] }[] = [];
  private bytes = 0;
  /** Partitions that are waited for; each with where it waits. */
  private waiting = new Map<ProducePartition, Partition | null>();
  private isComplete = false;
  /** Something must be found out before the append: until then no other request of the connection is taken, or it would overtake this one. */
  private isLater = false;

  constructor(parts: BrokerParts, unpacker: BatchUnpacker, context: Context, request: ProduceRequest) {
    super();
    this.parts = parts;
    this.unpacker = unpacker;
    this.context = context;
    this.acks = request.acks;
    this.timeoutMs = request.timeoutMs;
    this.transactionalId = request.transactionalId;
  }

  begin(request: ProduceRequest): ReturnType<Handler<typeof ApiKey.Produce>> {
    const refusedAll = this.requestProblem(request);
    for (const topic of request.topicData) {
      const name = this.topicName(topic.name, topic.topicId);
      const partitionResponses: ProducePartition[] = [];
      this.responses.push({ name: name ?? topic.name, topicId: topic.topicId, partitionResponses });
      const problem = refusedAll !== ErrorCode.NONE ? refusedAll : this.topicProblem(name);
      for (const { index, records } of topic.partitionData) {
        const part = new ProducePartition(this, index, this.acks === -1);
        partitionResponses.push(part);
        if (problem !== ErrorCode.NONE) part.refuse(problem);
        else this.appendTo(part, name!, records);
      }
    }
    if (this.isLater) return answerLater;
    if (this.acks === 0) return this.endUnanswered();
    if (this.waiting.size === 0) return this.response();
    return answerAtTurnEnd;
  }

  /** What refuses the request as a whole: each partition is answered with it. */
  private requestProblem(request: ProduceRequest): number {
    if (!hasTransactionalBatch(request)) return ErrorCode.NONE;
    const mayWrite =
      this.transactionalId !== null &&
      this.parts.authorizer.authorize(
        this.context,
        AclOperation.Write,
        ResourceType.TransactionalId,
        this.transactionalId,
      );
    return mayWrite ? ErrorCode.NONE : ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
  }

  private topicName(name: string, topicId: Uuid): string | null {
    if (this.context.apiVersion < topicIdVersion) return name;
    return this.parts.metadata.image.topics.byId.get(topicId)?.name ?? null;
  }

  private topicProblem(name: string | null): number {
    if (name === null) return ErrorCode.UNKNOWN_TOPIC_ID;
    if (!this.parts.authorizer.authorize(this.context, AclOperation.Write, ResourceType.Topic, name))
      return ErrorCode.TOPIC_AUTHORIZATION_FAILED;
    return ErrorCode.NONE;
  }

  private appendTo(part: ProducePartition, topic: string, records: Buffer | null): void {
    const partition = this.parts.partitions.get(topic, part.index);
    const problem = this.partitionProblem(partition, topic, part.index, records);
    if (problem !== ErrorCode.NONE) {
      part.refuse(problem);
      return;
    }
    const bytes = records!;
    this.bytes += bytes.length;
    const unpacked = this.unpacker.unpackAtOnce(bytes);
    if (unpacked === "later") this.unpackLater(part, partition!, bytes);
    else this.verifyAndAppend(part, partition!, bytes, unpacked);
  }

  /** The frame is gone by the time that this is unpacked, hence the copy. */
  private unpackLater(part: ProducePartition, partition: Partition, records: Buffer): void {
    const kept = Buffer.from(records);
    const outputBytesMax = unpackedRecordsBytesMax(partition.leaderLog.config);
    const unpacking = this.unpacker.unpackLater(kept, outputBytesMax);
    this.resolveLater(part, partition, unpacking, ErrorCode.UNKNOWN_SERVER_ERROR, (unpacked) => {
      if (unpacked === "too-large") part.refuse(ErrorCode.MESSAGE_TOO_LARGE);
      else this.verifyAndAppend(part, partition, kept, unpacked);
    });
  }

  private verifyAndAppend(part: ProducePartition, partition: Partition, records: Buffer, unpacked: Unpacked): void {
    if (batchIsTransactionalAt(records) && this.parts.transactionVerifier !== null)
      this.verify(part, partition, records, unpacked);
    else this.append(part, partition, records, "not-needed", unpacked);
  }

  /** Waits for `answer` before the append, and looks then whether this broker still leads. `failureCode`: where there is no answer. */
  private resolveLater<Answer>(
    part: ProducePartition,
    partition: Partition,
    answer: Promise<Answer>,
    failureCode: ErrorCode,
    goOn: (answer: Answer) => void,
  ): void {
    this.isLater = true;
    this.waiting.set(part, null);
    const settle = (act: () => void): void => {
      try {
        const problem = partition.leaderProblem(-1);
        if (problem !== ErrorCode.NONE) part.refuse(problem);
        else act();
      } catch (error) {
        this.parts.logger.error({ err: error, partition: partition.name }, "a produce failed");
        part.refuse(ErrorCode.UNKNOWN_SERVER_ERROR);
      }
      // Neither appended nor waiting for something else: the answer stands.
      if (this.waiting.get(part) === null) this.onPartitionDone(part);
    };
    answer.then(
      (value) => settle(() => goOn(value)),
      () => settle(() => part.refuse(failureCode)),
    );
  }

  /** In the order in which Kafka looks: metadata, the batch's form, acks, internal topics, leadership, in-sync replicas. */
  private partitionProblem(partition: Partition | null, topic: string, index: number, records: Buffer | null): number {
    if (this.parts.metadata.image.topics.partition(topic, index) === undefined)
      return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    if (records === null || records.length === 0) return ErrorCode.INVALID_RECORD;
    if (
      this.context.apiVersion < zstdVersion &&
      records.length >= batchHeaderBytes &&
      batchCodecId(records, 0) === zstdCodecId
    )
      return ErrorCode.UNSUPPORTED_COMPRESSION_TYPE;
    if (this.acks < -1 || this.acks > 1) return ErrorCode.INVALID_REQUIRED_ACKS;
    if (isInternalTopic(topic) && this.context.clientId !== adminClientId) return ErrorCode.INVALID_TOPIC_EXCEPTION;
    if (partition === null) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    const problem = partition.leaderProblem(-1);
    if (problem !== ErrorCode.NONE) return problem;
    return this.acks === -1 && partition.isBelowMinIsr ? ErrorCode.NOT_ENOUGH_REPLICAS : ErrorCode.NONE;
  }

  private append(
    part: ProducePartition,
    partition: Partition,
    records: Buffer,
    verification: "not-needed" | "verified",
    unpacked: Unpacked,
  ): void {
    const outcome = partition.append(records, { origin: "client", nowMs: this.context.nowMs, verification, unpacked });
    if (outcome.kind === "refused") {
      this.refuseAppend(part, outcome);
      return;
    }
    part.baseOffset = outcome.firstOffset;
    part.logAppendTimeMs = outcome.logAppendTimeMs;
    part.logStartOffset = outcome.logStartOffset;
    part.requiredOffset = outcome.lastOffset + 1;
    if (this.acks === 0) return;
    this.waiting.set(part, partition);
    partition.wait(part);
    // Alone in sync, on a quick disk, the answer comes with this turn: no deadline is needed.
    if (part.needsCommit && partition.waitsForFollowers && this.wheelTick < 0)
      this.parts.requestWheel.set(this, this.timeoutMs);
  }

  private refuseAppend(part: ProducePartition, outcome: Extract<AppendOutcome, { kind: "refused" }>): void {
    part.refuse(outcome.errorCode, outcome.clientMessage);
    part.logStartOffset = outcome.logStartOffset;
    if (outcome.recordErrors.length === 0) return;
    part.recordErrors = outcome.recordErrors.map(({ batchIndex, message }) => ({
      batchIndex,
      batchIndexErrorMessage: message,
    }));
  }

  /** KIP-890: the transaction's coordinator must know of this partition before anything of the transaction is written to it. */
  private verify(part: ProducePartition, partition: Partition, records: Buffer, unpacked: Unpacked): void {
    const producerId = batchProducerId(records, 0);
    const producerEpoch = batchProducerEpoch(records, 0);
    if (partition.leaderLog.hasOngoingTransaction(producerId, producerEpoch)) {
      this.append(part, partition, records, "verified", unpacked);
      return;
    }
    const batch = { topic: partition.topic, partition: partition.index, producerId, producerEpoch };
    const verdict = this.parts.transactionVerifier!.verify(this.transactionalId, batch, this.context.apiVersion);
    if (verdict === null) {
      this.append(part, partition, records, "verified", unpacked);
      return;
    }
    // The frame is gone by then.
    const kept = Buffer.from(records);
    this.resolveLater(part, partition, verdict, ErrorCode.COORDINATOR_NOT_AVAILABLE, (errorCode) => {
      if (errorCode !== ErrorCode.NONE) part.refuse(errorCode);
      else this.append(part, partition, kept, "verified", unpacked);
    });
  }

  // --- answering ---------------------------------------------------------------------------------

  onPartitionDone(part: ProducePartition): void {
    this.waiting.delete(part);
    if (this.waiting.size === 0) this.complete();
  }

  override onDeadline(): void {
    for (const [part, partition] of this.waiting) {
      partition?.forgetAppend(part);
      part.refuse(ErrorCode.REQUEST_TIMED_OUT);
    }
    this.waiting.clear();
    this.complete();
  }

  private complete(): void {
    if (this.isComplete) return;
    this.isComplete = true;
    this.parts.requestWheel.cancel(this);
    if (this.acks !== 0) this.context.answer(this.response());
    else if (this.isLater) this.context.answer(this.endUnanswered());
  }

  private response(): ProduceResponseInit {
    const { parts, context } = this;
    const hints =
      this.context.apiVersion >= leaderHintVersion ? new LeaderHints(parts.metadata.image, context.listenerName) : null;
    if (hints !== null) {
      for (const topic of this.responses) {
        for (const part of topic.partitionResponses)
          part.currentLeader = hints.of(topic.name, part.index, part.errorCode);
      }
    }
    const throttleTimeMs = parts.quotas.onProduce(context, context.clientId, this.bytes);
    return { responses: this.responses, throttleTimeMs, nodeEndpoints: hints?.endpoints ?? [] };
  }

  private endUnanswered(): null {
    this.parts.quotas.onProduce(this.context, this.context.clientId, this.bytes);
    const hasError = this.responses.some((topic) =>
      topic.partitionResponses.some((part) => part.errorCode !== ErrorCode.NONE),
    );
    if (hasError) this.context.connection.close("a produce with acks=0 failed");
    return null;
  }
}

function batchIsTransactionalAt(records: Buffer | null): boolean {
  return records !== null && records.length >= batchHeaderBytes && batchIsTransactional(records, 0);
}

function hasTransactionalBatch(request: ProduceRequest): boolean {
  return request.topicData.some((topic) => topic.partitionData.some(({ records }) => batchIsTransactionalAt(records)));
}
