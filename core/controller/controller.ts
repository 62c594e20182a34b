// The controller on its quorum: decide → replay → append → answer once committed. Active while its node leads. Two images then: what has been
// decided, which the next decision reads, and what is committed, which everybody else reads. Who loses the lead forgets what it had decided:
// what was not committed may be gone, and what is, comes back through the log.
//
//   standby → active: the node leads and all before its epoch is committed      active → standby: another leads, or nobody
//
//   controller.execute((context) => createTopics(context, request))   // resolves with the answer, when its records are durable
import { assert, type Logger, type Random, type TimerHandle, type Timers } from "../base/index.ts";
import type { BrokerSettings } from "../model/settings/index.ts";
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecord,
  type MetadataRecordInit,
} from "../protocol/index.ts";
import {
  type CommittedBatch,
  type LeaderAndEpoch,
  type MetadataQuorum,
  NotLeader,
  type PreparedRecord,
  type QuorumListener,
  type SnapshotId,
} from "../quorum/index.ts";
import type { DecideContext, Decision } from "./decide/index.ts";
import { imageRecords, MetadataDelta, MetadataImage, MetadataReplayer, type SupportedRange } from "./image/index.ts";

export type ImageListener = (delta: MetadataDelta, image: MetadataImage) => void;

/** The committed metadata as one node sees it: fed by the quorum, read by everybody. */
export class MetadataPublisher implements QuorumListener {
  private replayer = new MetadataReplayer(new MetadataImage());
  private readonly listeners = new Set<ImageListener>();
  leader: LeaderAndEpoch = { leaderId: -1, epoch: 0 };
  /** The last offset at which the finalized features changed. */
  featuresOffset = -1;

  get image(): MetadataImage {
    return this.replayer.image;
  }

  /** Returns the way to stop it. A listener that comes late gets the whole image first. */
  onImage(listener: ImageListener): () => void {
    this.listeners.add(listener);
    if (this.image.highestOffset >= 0) listener(new MetadataDelta(true), this.image);
    return () => this.listeners.delete(listener);
  }

  onSnapshot(id: SnapshotId, records: Iterable<MetadataRecord>): void {
    this.replayer = new MetadataReplayer(new MetadataImage());
    const { image } = this.replayer;
    const delta = new MetadataDelta(true);
    for (const record of records) image.replay(record, delta);
    image.highestOffset = id.endOffset - 1;
    image.highestEpoch = id.epoch;
    this.featuresOffset = image.highestOffset;
    this.publish(delta);
  }

  onCommit(batches: readonly CommittedBatch[]): void {
    const delta = new MetadataDelta();
    for (const batch of batches) {
      const { baseOffset, epoch, records } = batch;
      for (let index = 0; index < records.length; index++) {
        this.replayer.replay(records[index]!, baseOffset + index, epoch, delta);
      }
    }
    if (delta.changedFeatures.size > 0) this.featuresOffset = this.image.highestOffset;
    if (!delta.isEmpty) this.publish(delta);
  }

  onLeaderChange(leader: LeaderAndEpoch): void {
    this.leader = leader;
  }

  private publish(delta: MetadataDelta): void {
    for (const listener of this.listeners) listener(delta, this.image);
  }

  /** Records of a metadata transaction are held back: its end is not committed yet. */
  get isInTransaction(): boolean {
    return this.replayer.isInTransaction;
  }

  /**
   * The committed state as records, as it is at this moment: what is committed later does not come into it. Null inside a metadata
   * transaction, whose records are nowhere yet.
   */
  snapshotRecords(): Iterable<MetadataRecordInit> | null {
    return this.replayer.isInTransaction ? null : imageRecords(this.image.copy());
  }
}

export interface ControllerOptions {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly settings: BrokerSettings;
  readonly supportedFeatures: ReadonlyMap<string, SupportedRange>;
  readonly quorum: MetadataQuorum;
  readonly publisher: MetadataPublisher;
  readonly random: Random;
  readonly wallMs: () => number;
  readonly timers: Timers;
  readonly logger: Logger;
  /** metadata.max.idle.interval.ms: how often a record shows followers that the leader is alive; 0 never. */
  readonly idleIntervalMs: number;
  /** What a new cluster begins with; asked for by its first active controller. */
  readonly firstRecords: () => readonly MetadataRecordInit[];
}

/** Told in the turn of the change. */
export interface ControllerObserver {
  onActive(): void;
  onStandby(): void;
}

const noOpRecord = { type: "NoOpRecord", version: 0, value: {} } as const;
const abortRecord = {
  type: "AbortTransactionRecord",
  version: 0,
  value: { reason: "the controller that began it no longer leads" },
} as const;

interface Activation {
  readonly epoch: number;
  readonly replayer: MetadataReplayer;
}

export class Controller implements QuorumListener {
  private readonly options: ControllerOptions;
  private readonly observers = new Set<ControllerObserver>();
  private activation: Activation | null = null;
  private idleTimer: TimerHandle | null = null;
  private appendedSinceTick = false;
  private closed = false;

  /** Begins to listen to its quorum: it may be active when this returns. */
  constructor(options: ControllerOptions) {
    this.options = options;
    options.quorum.addListener(this);
  }

  get isActive(): boolean {
    return this.activation !== null;
  }

  /** What has been decided, committed or not; on standby what is committed. For decisions only. */
  get image(): MetadataImage {
    return this.activation?.replayer.image ?? this.options.publisher.image;
  }

  /** An observer that comes late hears at once that the controller is active. */
  observe(observer: ControllerObserver): void {
    this.observers.add(observer);
    if (this.isActive) observer.onActive();
  }

  // --- the quorum --------------------------------------------------------------------------------

  onSnapshot(): void {}

  onCommit(): void {}

  onLeaderChange({ epoch, leaderId }: LeaderAndEpoch): void {
    if (this.closed) return;
    if (leaderId !== this.options.nodeId) return this.standBy();
    if (this.activation?.epoch === epoch) return;
    this.standBy();
    this.activate(epoch);
  }

  /** Everything before this epoch is committed and in the publisher's image. */
  private activate(epoch: number): void {
    const { logger, nodeId, publisher } = this.options;
    const { isInTransaction } = publisher;
    this.activation = { epoch, replayer: new MetadataReplayer(publisher.image.copy(), isInTransaction) };
    logger.info({ nodeId, epoch }, "this node is the active controller");
    // A controller before this one left it open: nobody can end it any more.
    if (isInTransaction) this.appendUnasked([abortRecord]);
    if (this.image.features.metadataVersion === 0) this.appendUnasked(this.options.firstRecords());
    this.scheduleIdleTick();
    for (const observer of this.observers) observer.onActive();
  }

  private standBy(): void {
    if (this.activation === null) return;
    this.activation = null;
    this.idleTimer?.cancel();
    this.idleTimer = null;
    for (const observer of this.observers) observer.onStandby();
  }

  // --- decisions ---------------------------------------------------------------------------------

  context(): DecideContext {
    const { clusterId, nodeId, quorum, random, settings, supportedFeatures, wallMs } = this.options;
    return {
      image: this.image,
      ...{ clusterId, nodeId, random, settings, supportedFeatures },
      kraftVersion: quorum.kraftVersion,
      nowMs: wallMs(),
      nextOffset: quorum.nextOffset,
    };
  }

  /** Decides now; resolves when what was decided is committed and published. What the decision throws is rejected with. */
  execute<Answer>(decide: (context: DecideContext) => Decision<Answer>): Promise<Answer> {
    const { activation } = this;
    if (activation === null) return Promise.reject(new NotLeader(this.options.quorum.leaderAndEpoch));
    try {
      const { answer, records } = decide(this.context());
      if (records.length === 0) return Promise.resolve(answer);
      return this.append(activation, records).then(() => answer);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private append({ epoch, replayer }: Activation, records: readonly MetadataRecordInit[]): Promise<void> {
    const { quorum } = this.options;
    const prepared: PreparedRecord[] = [];
    const delta = new MetadataDelta();
    let offset = quorum.nextOffset;
    for (const init of records) {
      const bytes = encodeMetadataRecord(init);
      // Read back: what is replayed is what the log will give, to the last default.
      const record = decodeMetadataRecord(bytes);
      replayer.replay(record, offset++, epoch, delta);
      prepared.push({ bytes, record });
    }
    this.appendedSinceTick = true;
    const { committed } = quorum.append(prepared);
    return committed;
  }

  /** What nobody waits for. Whoever loses the lead meanwhile has nothing to mend: the next leader decides anew. */
  private appendUnasked(records: readonly MetadataRecordInit[]): void {
    const { activation } = this;
    assert(activation !== null, "only an active controller writes");
    this.append(activation, records).catch((error: unknown) => {
      if (error instanceof NotLeader) return;
      this.options.logger.error({ error: String(error) }, "cannot write to the metadata log");
    });
  }

  private scheduleIdleTick(): void {
    const { idleIntervalMs, timers } = this.options;
    if (idleIntervalMs <= 0) return;
    this.idleTimer = timers.after(idleIntervalMs, () => this.onIdleTick());
  }

  private onIdleTick(): void {
    if (!this.isActive) return;
    if (!this.appendedSinceTick) this.appendUnasked([noOpRecord]);
    this.appendedSinceTick = false;
    this.scheduleIdleTick();
  }

  close(): void {
    this.standBy();
    this.closed = true;
  }
}
