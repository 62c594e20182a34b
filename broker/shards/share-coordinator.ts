// The share coordinator on this broker: shards over `__share_group_state`, and the way that share partitions and groups take to them. The internal
// topic is made when state is first to be kept. Owns no state of its own.

import type { Uuid } from "@blumfeld/core/base";
import type { MetadataDelta } from "@blumfeld/core/controller";
import {
  type ShareKey,
  type ShareOutcome,
  type ShareRead,
  type ShareState,
  type ShareStateDecision,
  ShareStateShard,
  type ShareWrite,
  shareKeyText,
} from "@blumfeld/core/coordinator";
import { shareGroupStateTopic } from "@blumfeld/core/model";
import { ErrorCode, type ShareCoordinatorRecord } from "@blumfeld/core/protocol";
import { TopicCreator } from "../metadata/internal-topics.ts";
import type { BrokerParts } from "../parts.ts";
import { anonymousPrincipal } from "../security-seam.ts";
import { ShareConfig } from "../share/share-config.ts";
import { ShareStatePruner } from "../share/share-state-pruner.ts";
import { ShardHost } from "./shard-host.ts";
import { isShareStateKept, SharePersister } from "./share-persister.ts";

/** While the topic is made or its shard loads, it is asked again after so long, and given up after so many times. */
const retryMs = 100;
const attemptCountMax = 300;
const creationMsMax = 30_000;

/** Those that a later attempt may not get. */
const retriable: ReadonlySet<number> = new Set([ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS]);

export class ShareCoordinator {
  readonly host: ShardHost<ShareStateShard, ShareCoordinatorRecord, never>;
  readonly config: ShareConfig;
  /** For this broker's own share partitions and groups: state wherever its coordinator is. */
  readonly anywhere: SharePersister;
  readonly pruner: ShareStatePruner;
  private readonly parts: BrokerParts;
  private readonly creator: TopicCreator;

  constructor(parts: BrokerParts) {
    this.parts = parts;
    const config = new ShareConfig(parts);
    this.config = config;
    this.creator = new TopicCreator(parts.cluster.settings, parts.controllerChannel);
    this.host = new ShardHost<ShareStateShard, ShareCoordinatorRecord, never>(
      { topic: shareGroupStateTopic, create: ({ undo }) => new ShareStateShard({ undo, config }) },
      parts,
    );
    this.pruner = new ShareStatePruner(parts, this.host);
    const persister = parts.cluster.settings.get("group.share.persister.class.name");
    this.anywhere = new SharePersister(parts, this, isShareStateKept(persister));
    parts.metadata.onImage((delta) => this.onImage(delta));
  }

  private onImage({ removedTopics }: MetadataDelta): void {
    if (removedTopics.length === 0) return;
    const ids = new Set<Uuid>(removedTopics.map(({ id }) => id));
    for (const shard of this.host.shards())
      shard.write(
        "topics deleted",
        (states) => states.deleteTopics(ids),
        () => {},
      );
  }

  /** Of the internal topic. Null while that is not there. */
  partitionOf(key: ShareKey): number | null {
    return this.host.partitionOf(shareKeyText(key));
  }

  // --- as the handlers ask: once ---------------------------------------------------------------

  initialize(key: ShareKey, ask: { stateEpoch: number; startOffset: number }): Promise<ShareOutcome> {
    return this.once(key, "InitializeShareGroupState", (shard, nowMs) => shard.initialize(key, ask, nowMs));
  }

  read(key: ShareKey, leaderEpoch: number): Promise<ShareOutcome & { readonly state?: ShareState | null }> {
    return this.once<ShareRead>(key, "ReadShareGroupState", (shard, nowMs) => shard.read(key, leaderEpoch, nowMs));
  }

  write(key: ShareKey, write: ShareWrite): Promise<ShareOutcome> {
    return this.once(key, "WriteShareGroupState", (shard, nowMs) => shard.write(key, write, nowMs));
  }

  delete(key: ShareKey): Promise<ShareOutcome> {
    return this.once(key, "DeleteShareGroupState", (shard) => shard.delete(key));
  }

  /** Null where nothing is known of the partition. */
  summary(key: ShareKey): Promise<ShareOutcome & { readonly state?: ShareState | null }> {
    return this.once<ShareRead>(key, "ReadShareGroupStateSummary", (shard) => ({
      records: [],
      answer: { errorCode: ErrorCode.NONE, errorMessage: null, state: shard.stateOf(key) },
    }));
  }

  private once<Answer extends ShareOutcome>(
    key: ShareKey,
    what: string,
    decide: (shard: ShareStateShard, nowMs: number) => ShareStateDecision<Answer>,
  ): Promise<Answer | ShareOutcome> {
    return new Promise((resolve) => {
      this.host.write(shareKeyText(key), what, decide, (outcome) =>
        resolve("answer" in outcome ? outcome.answer : { errorCode: outcome.errorCode, errorMessage: null }),
      );
    });
  }

  // --- as this broker's own share partitions and groups ask ----------------------------------------

  /** Asks until there is a coordinator, which may have to be made first, nobody wants the answer any more, or the broker stops. */
  async persistently<Answer extends ShareOutcome>(
    ask: () => Promise<Answer>,
    isWanted: () => boolean = () => true,
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const answer = await ask();
      const isOver = attempt >= attemptCountMax || this.parts.partitions.isClosed || !isWanted();
      if (isOver || !retriable.has(answer.errorCode)) return answer;
      if (this.parts.metadata.image.topics.get(shareGroupStateTopic) === undefined) this.createTopic();
      await new Promise<void>((resolve) => {
        this.parts.timers.after(retryMs, resolve);
      });
    }
  }

  private createTopic(): void {
    this.creator.create([shareGroupStateTopic], {
      principal: anonymousPrincipal,
      clientAddress: "127.0.0.1",
      listenerName: this.parts.config.listeners[0]?.name ?? "",
      clientId: null,
      timeoutMs: creationMsMax,
    });
  }
}
