// Fetch, versions 4-18. Names byte ranges of the logs, waits for more where the client asks for it, sends what is there.
//
//   7   fetch sessions (KIP-227)             9   current leader epoch checks (KIP-320)
//   11  rack, preferred read replica (KIP-392)      12  diverging epoch (KIP-595)      13  topic ids (KIP-516)
//   15  replica state (KIP-903)                     16  current leader and its endpoint in the answer (KIP-951)
//
// A fetch that waits is one object in the lists of its partitions: it holds no bytes, is woken by the append that brings enough, by its
// deadline, or ends with its connection. A follower's fetch says how far it is: that is noted when it comes, before it waits, and may move the
// high watermark. Left out: remote storage.
import { type ApiKey, ErrorCode, type FetchRequest, type FetchResponseInit } from "@blumfeld/core/protocol";
import { WheelTimer } from "@blumfeld/host/process";
import { type FetchContext, fetchContextOf, fetchTopicIdVersion, wordFetchAnswer } from "../fetch/fetch-context.ts";
import type { FetchItem } from "../fetch/fetch-item.ts";
import {
  type FetchBounds,
  type FetchGuide,
  type FetchPlan,
  noGuide,
  planFetch,
  refuseEarly,
  resolveItems,
} from "../fetch/fetch-plan.ts";
import { readItems } from "../fetch/fetch-read.ts";
import type { Partition } from "../partition/partition.ts";
import type { WaitingFetch } from "../partition/waiting.ts";
import type { BrokerParts } from "../parts.ts";
import { answerLater, type Handler, type RequestContext } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import { LeaderHints } from "./leader-hints.ts";

type Context = RequestContext<typeof ApiKey.Fetch>;

/** A fetch waits no longer, whatever it asks for: its connection might be long gone. */
export const fetchWaitMsMax = 300_000;
const leaderHintVersion = 16;
const replicaStateVersion = 15;
const rackVersion = 11;
const readCommitted = 1;
const consumerId = -1;

export function createFetchHandler(parts: BrokerParts): Handler<typeof ApiKey.Fetch> {
  return (request, context) => {
    const version = context.apiVersion;
    const { image } = parts.metadata;
    const found = fetchContextOf(request, version, parts.fetchSessions, (id) => image.topics.byId.get(id)?.name);
    if ("errorCode" in found) return { errorCode: found.errorCode, sessionId: 0, responses: [] };
    const fetch = new Fetch(parts, context, request, found);
    return fetch.begin();
  };
}

class Fetch extends WheelTimer implements WaitingFetch {
  private readonly parts: BrokerParts;
  private readonly context: Context;
  private readonly fetchContext: FetchContext;
  private readonly bounds: FetchBounds;
  private readonly guide: FetchGuide;
  private readonly brokerEpoch: number;
  readonly isFollower: boolean;
  private readonly bytesMin: number;
  private readonly waitMs: number;
  /** Where it is parked. */
  private parkedAt: Partition[] = [];
  private forgetClose: (() => void) | null = null;
  private isAnswered = false;

  constructor(parts: BrokerParts, context: Context, request: FetchRequest, fetchContext: FetchContext) {
    super();
    this.parts = parts;
    this.context = context;
    this.fetchContext = fetchContext;
    const { apiVersion } = context;
    const hasState = apiVersion >= replicaStateVersion;
    const replicaId = hasState ? request.replicaState.replicaId : request.replicaId;
    this.brokerEpoch = hasState ? Number(request.replicaState.replicaEpoch) : -1;
    this.isFollower = replicaId >= 0;
    // A follower's bound is its own.
    const bytesMax = this.isFollower ? request.maxBytes : Math.min(request.maxBytes, parts.config.fetchBytesMax);
    this.bounds = {
      bytesMax,
      isReadCommitted: request.isolationLevel === readCommitted && replicaId < 0,
      replicaId,
      onlyFromLeader: this.isFollower || (replicaId === consumerId && apiVersion < rackVersion),
    };
    this.guide = parts.replication?.guideOf(replicaId, request.rackId, context.listenerName) ?? noGuide;
    this.bytesMin = Math.min(request.minBytes, bytesMax);
    this.waitMs = Math.min(request.maxWaitMs, fetchWaitMsMax);
  }

  begin(): ReturnType<Handler<typeof ApiKey.Fetch>> {
    const { items } = this.fetchContext;
    const isRefused = this.refuseFollower() || this.resolve();
    const plan = this.plan();
    // The answer to a follower has the high watermark that its own fetch made.
    if (this.isFollower && !isRefused) this.noteProgress();
    const isEnough =
      plan.bytes >= this.bytesMin || plan.isUrgent || isRefused || items.length === 0 || this.waitMs <= 0;
    if (!isEnough) {
      this.park();
      return answerLater;
    }
    this.isAnswered = true;
    const reading = this.read(plan.bytes);
    if (reading !== null) return reading.then(() => this.response());
    return this.response();
  }

  private plan(): FetchPlan {
    return planFetch(this.fetchContext.items, this.boundsNow(), this.guide);
  }

  /** What a follower asks for it has up to there. */
  private noteProgress(): void {
    const { brokerEpoch, bounds } = this;
    for (const item of this.fetchContext.items) {
      const { divergingEpoch, errorCode, fetchOffset, followerLogStartOffset, partition } = item;
      if (partition === null || errorCode !== ErrorCode.NONE || divergingEpoch !== null) continue;
      const problem = partition.onFollowerFetch({
        brokerId: bounds.replicaId,
        ...{ brokerEpoch, fetchOffset, logStartOffset: followerLogStartOffset },
      });
      if (problem !== ErrorCode.NONE) item.refuse(problem);
      else item.highWatermark = partition.log!.highWatermark;
    }
  }

  /** Fetching as a replica moves the high watermark: not for everybody (CVE-2018-1288). */
  private refuseFollower(): boolean {
    if (this.bounds.replicaId < 0) return false;
    const { authorizer } = this.parts;
    if (authorizer.authorize(this.context, AclOperation.ClusterAction, ResourceType.Cluster, clusterResourceName))
      return false;
    for (const item of this.fetchContext.items) refuseEarly(item, ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    return true;
  }

  private resolve(): boolean {
    const { parts, context } = this;
    const isFollower = this.bounds.replicaId >= 0;
    return resolveItems(this.fetchContext.items, {
      partitions: parts.partitions,
      image: parts.metadata.image,
      usesTopicIds: context.apiVersion >= fetchTopicIdVersion,
      mayRead: (topic) =>
        isFollower || parts.authorizer.authorize(context, AclOperation.Read, ResourceType.Topic, topic),
    });
  }

  /** While answers that peers do not take fill the memory for them, an answer has one batch. */
  private boundsNow(): FetchBounds {
    const available = this.parts.responseBuffers.availableBytes;
    return available >= this.bounds.bytesMax ? this.bounds : { ...this.bounds, bytesMax: available };
  }

  // --- waiting -----------------------------------------------------------------------------------

  private park(): void {
    for (const { partition } of this.fetchContext.items) {
      if (partition === null) continue;
      partition.park(this);
      this.parkedAt.push(partition);
    }
    this.parts.requestWheel.set(this, this.waitMs);
    this.forgetClose = this.context.connection.whenClosed(() => this.leave());
  }

  private leave(): void {
    for (const partition of this.parkedAt) partition.unpark(this);
    this.parkedAt = [];
    this.parts.requestWheel.cancel(this);
    this.forgetClose?.();
    this.forgetClose = null;
    this.isAnswered = true;
  }

  onReadable(): void {
    if (this.isAnswered) return;
    const plan = this.plan();
    if (plan.bytes >= this.bytesMin || plan.isUrgent) this.answer(plan.bytes);
  }

  override onDeadline(): void {
    if (this.isAnswered) return;
    this.answer(this.plan().bytes);
  }

  private answer(bytes: number): void {
    this.leave();
    const reading = this.read(bytes);
    if (reading === null) {
      this.context.answer(this.response());
      return;
    }
    reading.then(
      () => this.context.answer(this.response()),
      (error: unknown) => {
        this.parts.logger.error({ api: "Fetch" }, `request failed: ${String(error)}`);
        this.context.connection.close("a fetch failed");
      },
    );
  }

  // --- answering ---------------------------------------------------------------------------------

  private read(bytes: number): Promise<void> | null {
    if (bytes === 0) return null;
    const { responseBuffers } = this.parts;
    const buffer = responseBuffers.take(bytes);
    this.context.onSent(() => responseBuffers.give(buffer));
    return readItems(this.fetchContext.items, buffer, this.parts);
  }

  private response(): FetchResponseInit {
    const { parts, context, fetchContext } = this;
    const version = context.apiVersion;
    const wording = wordFetchAnswer(fetchContext, parts.fetchSessions, this.bounds.replicaId >= 0, version);
    const hints = version >= leaderHintVersion ? new LeaderHints(parts.metadata.image, context.listenerName) : null;
    const responses: {
      topic: string;
      topicId: FetchItem["topicId"];
      partitions: ReturnType<FetchItem["toResponse"]>[];
    }[] = [];
    let last: (typeof responses)[number] | undefined;
    let bytes = 0;
    for (const item of wording.items) {
      if (last === undefined || last.topic !== item.topic || last.topicId !== item.topicId) {
        last = { topic: item.topic, topicId: item.topicId, partitions: [] };
        responses.push(last);
      }
      bytes += item.recordsBytes;
      last.partitions.push(item.toResponse(hints?.of(item.topic, item.index, item.errorCode)));
    }
    if (this.isFollower) parts.replication?.onFollowerAnswer(this.bounds.replicaId, wording.items);
    // A session keeps its items; what was found this time is not kept with them.
    for (const item of fetchContext.items) item.release();
    // What replicates is bounded by its own throttle.
    const throttleTimeMs = this.isFollower ? 0 : parts.quotas.onFetch(context, context.clientId, bytes);
    return {
      throttleTimeMs,
      errorCode: wording.errorCode,
      sessionId: wording.sessionId,
      responses,
      nodeEndpoints: hints?.endpoints ?? [],
    };
  }
}
