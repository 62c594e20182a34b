// The metadata side of a node in any of its roles: its part in the quorum, the controller that is active while the node leads, the committed image
// for the broker, and the broker's own life in the cluster (registered, unfenced, leaving). Started before the broker's listeners, closed
// after them.
//
//   const started = await MetadataNode.start({ … });
//   await node.catchUp();                                       // what the cluster has decided until now is in the image
//   await node.register({ endpoints, previousBrokerEpoch });   // fenced
//   await node.unfence();                                       // logs are loaded, listeners bound
//   …
//   await node.leave();                                         // partitions go to others, or wait for the restart
//   await node.close();
import {
  type Clock,
  type Disk,
  type Logger,
  type Random,
  randomUuid,
  type Timers,
  type Uuid,
} from "@blumfeld/core/base";
import {
  bootstrapRecords,
  Controller,
  configResourceType,
  decisionOf,
  fenceBroker,
  MetadataDelta,
  MetadataImage,
  MetadataPublisher,
  parseConfigResourceKey,
  type RegisteredEndpoint,
  readBootstrap,
  supportedFeatures,
  unsupportedFeature,
} from "@blumfeld/core/controller";
import { type BrokerSettings, parseHostAndPort } from "@blumfeld/core/model/settings";
import {
  type AddRaftVoterRequest,
  type AddRaftVoterResponseInit,
  ApiKey,
  ErrorCode,
  type MetadataRecord,
  type RemoveRaftVoterRequest,
  type RemoveRaftVoterResponseInit,
} from "@blumfeld/core/protocol";
import {
  type LeaderAndEpoch,
  NotLeader,
  type QuorumAddress,
  type QuorumDescription,
  type QuorumLog,
  QuorumReplica,
  quorumSettingsOf,
  type Storage,
  type StorageRefusal,
  snapshotLimitsDefault,
  type Voter,
} from "@blumfeld/core/quorum";
import type { ControllerChannel, MetadataSource } from "../parts.ts";
import type { PeerAddress, Peers } from "../peers/index.ts";
import { RequestError } from "../request-context.ts";
import { type Authorizer, allowAll } from "../security-seam.ts";
import { type BrokerEntry, BrokerLifecycle } from "./broker-lifecycle.ts";
import { BrokerWatch } from "./broker-watch.ts";
import type { ClusterAccess, TransactionalInit } from "./cluster-access.ts";
import { ControllerRegistrar } from "./controller-registrar.ts";
import { type ControllerOrigin, ownOrigin } from "./controller-requests.ts";
import { ControllerRouter } from "./controller-router.ts";
import { LeaderElections } from "./leader-elections.ts";
import { LocalControllerChannel } from "./local-controller-channel.ts";
import { ProducerIdBlocks } from "./producer-id-blocks.ts";

/** A controller that this node was told of belongs to another cluster than its directories. */
export class ForeignCluster extends Error {
  override name = "ForeignCluster";
  constructor(clusterId: string) {
    super(
      `the controllers that this node is told of are of another cluster; its directories are of cluster ${clusterId}`,
    );
  }
}

export interface MetadataNodeOptions {
  readonly settings: BrokerSettings;
  readonly storage: Storage;
  /** Of `storage.metadataPath`, recovered and ready to append. */
  readonly log: QuorumLog;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** One for each start of this process. */
  readonly incarnationId: Uuid;
  /** What the controller's listeners are reached by; none on a node that is a broker only. */
  readonly controllerEndpoints: readonly RegisteredEndpoint[];
  /** To other nodes. Without them this node can only be a cluster by itself. */
  readonly peers?: Peers;
  readonly authorizer?: Authorizer;
  /** The metadata log failed: the process cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export type { BrokerEntry } from "./broker-lifecycle.ts";

export type MetadataNodeStart = { readonly kind: "started"; readonly node: MetadataNode } | StorageRefusal;

/** Between two questions of a node that waits to be caught up. */
const catchUpRetryMs = 50;
const catchUpRequestMs = 2_000;
/** A person is told what a start waits for after so long, and again after each such time. */
const catchUpSilenceMs = 5_000;
const allocationMsMax = 30_000;

/** What only the node that is a controller has. */
interface ControllerSide {
  readonly controller: Controller;
  readonly watch: BrokerWatch;
  readonly elections: LeaderElections;
  readonly registrar: ControllerRegistrar;
}

export class MetadataNode implements MetadataSource, ClusterAccess {
  readonly settings: BrokerSettings;
  readonly clusterId: string;
  /** To the active controller, wherever it is. */
  readonly channel: ControllerChannel;
  transactionalInit: TransactionalInit | null = null;
  /** What other nodes replicate. */
  readonly quorum: QuorumReplica;
  private readonly options: MetadataNodeOptions;
  private readonly publisher: MetadataPublisher;
  private readonly controllerSide: ControllerSide | null;
  private readonly router: ControllerRouter;
  private readonly lifecycle: BrokerLifecycle;
  private readonly producerIds: ProducerIdBlocks;
  private offlineDirectories: Uuid[] = [];
  private isClosed = false;
  private readonly foreign: { readonly isForeign: boolean };

  private constructor(
    options: MetadataNodeOptions,
    publisher: MetadataPublisher,
    quorum: QuorumReplica,
    foreign: { readonly isForeign: boolean },
  ) {
    this.foreign = foreign;
    const { clock, logger, random, settings, storage, timers } = options;
    const { nodeId } = storage;
    this.options = options;
    this.settings = settings;
    this.clusterId = storage.clusterId;
    this.publisher = publisher;
    this.quorum = quorum;
    const features = supportedFeatures(settings.get("unstable.feature.versions.enable"));
    const controller = settings.shape.isController ? this.makeController(features) : null;
    const watch = controller === null ? null : this.makeWatch(controller);
    this.router = new ControllerRouter({
      ...{ clock, timers, nodeId },
      local: controller === null ? null : { controller, channel: this.localChannel(controller, watch!) },
      leaderAddress: () => this.leaderAddress(),
      peers: options.peers ?? noPeers,
    });
    this.channel = this.router;
    this.controllerSide =
      controller === null
        ? null
        : {
            ...{ controller, watch: watch! },
            elections: new LeaderElections({ controller, settings, timers, logger }),
            registrar: new ControllerRegistrar({
              ...{ nodeId, logger, timers, channel: this.router, supportedFeatures: features },
              incarnationId: options.incarnationId,
              endpoints: options.controllerEndpoints,
              image: () => this.image,
            }),
          };
    this.lifecycle = new BrokerLifecycle({
      ...{ clock, logger, random, timers, nodeId, features, channel: this.router },
      clusterId: storage.clusterId,
      incarnationId: options.incarnationId,
      rack: settings.get("broker.rack"),
      directoryIds: storage.directories.map(({ directoryId }) => directoryId),
      metadataOffset: () => this.quorum.appliedOffset - 1,
      isUnfenced: () => this.isUnfenced,
      offlineDirectories: () => this.offlineDirectories,
      cordonedDirectories: () => this.cordonedDirectories,
      heartbeatMs: settings.get("broker.heartbeat.interval.ms"),
      sessionMs: settings.get("broker.session.timeout.ms"),
      registrationMs: settings.get("initial.broker.registration.timeout.ms"),
    });
    this.producerIds = new ProducerIdBlocks(() => this.allocateProducerIds());
    publisher.onImage((delta) => this.onMetadata(delta, features));
  }

  private makeController(features: ReturnType<typeof supportedFeatures>): Controller {
    const { clock, disk, logger, random, settings, storage, timers } = this.options;
    const { publisher, quorum } = this;
    return new Controller({
      ...{ settings, quorum, publisher, random, timers, logger },
      nodeId: storage.nodeId,
      clusterId: storage.clusterId,
      supportedFeatures: features,
      wallMs: () => clock.wallMs(),
      idleIntervalMs: settings.get("metadata.max.idle.interval.ms"),
      firstRecords: () => {
        const bootstrap = readBootstrap(disk, storage.metadataDirectory.path);
        return bootstrapRecords(bootstrap === null || "kind" in bootstrap ? null : bootstrap, settings);
      },
    });
  }

  private makeWatch(controller: Controller): BrokerWatch {
    const { clock, incarnationId, logger, settings, timers } = this.options;
    return new BrokerWatch({
      ...{ clock, logger, timers, controller },
      // This process is its own witness.
      ownIncarnationId: incarnationId,
      sessionMs: settings.get("broker.session.timeout.ms"),
      committedOffset: () => this.quorum.highWatermark - 1,
    });
  }

  /** What this node asks of itself it may; what comes from a client or another node is judged. */
  private localChannel(controller: Controller, watch: BrokerWatch): ControllerChannel {
    const guarded = new LocalControllerChannel({
      ...{ controller, watch },
      authorizer: this.options.authorizer ?? allowAll,
    });
    const own = new LocalControllerChannel({ controller, watch, authorizer: allowAll });
    return {
      request: (key, request, origin: ControllerOrigin) =>
        (origin.listenerName === "" ? own : guarded).request(key, request, origin),
    };
  }

  /** Replays the log and takes up its part in the quorum. The only voter leads at once, and begins a new cluster where there is none yet. */
  static async start(options: MetadataNodeOptions): Promise<MetadataNodeStart> {
    const { peers, settings, storage } = options;
    const { controllerListenerNames, isController, quorumBootstrapServers } = settings.shape;
    const publisher = new MetadataPublisher();
    publisher.onImage((delta, image) => applyDynamicSettings(settings, storage.nodeId, delta, image));
    const bootstrap = readBootstrap(options.disk, storage.metadataDirectory.path);
    if (bootstrap !== null && "kind" in bootstrap) return bootstrap;
    const foreign = { isForeign: false };
    const started = QuorumReplica.start({
      ...options,
      ...{ isController, nodeId: storage.nodeId, clusterId: storage.clusterId },
      settings: quorumSettingsOf(settings),
      directoryId: storage.metadataDirectory.directoryId,
      staticVoters: staticVoters(settings),
      bootstrapServers: quorumBootstrapServers.map(bootstrapAddress),
      endpoints: isController
        ? options.controllerEndpoints.map(({ host, name, port }) => ({ name, host, port }))
        : null,
      listenerName: controllerListenerNames[0] ?? "CONTROLLER",
      send:
        peers === undefined
          ? null
          : (to, key, request, timeoutMs) => peers.request(to, key, request, { timeoutMs, lane: "quorum" }),
      limits: {
        ...snapshotLimitsDefault,
        snapshotBytesMax: settings.get("metadata.log.max.record.bytes.between.snapshots"),
        snapshotIntervalMs: settings.get("metadata.log.max.snapshot.interval.ms"),
        retentionBytes: settings.get("metadata.max.retention.bytes"),
        retentionMs: settings.get("metadata.max.retention.ms"),
      },
      listeners: [publisher],
      snapshotSource: () => publisher.snapshotRecords(),
      onForeignCluster: () => {
        foreign.isForeign = true;
      },
    });
    if (started.kind === "refused") return started;
    const supported = supportedFeatures(settings.get("unstable.feature.versions.enable"));
    const refusal =
      unsupportedFeature(publisher.image, supported) ?? unsupportedFeature(imageOf(bootstrap ?? []), supported);
    if (refusal !== null) {
      await started.quorum.close();
      return refusal;
    }
    const node = new MetadataNode(options, publisher, started.quorum, foreign);
    // A cluster of its own is complete when this returns; any other needs nodes that may start later.
    if (node.isActiveController) await node.becomeKnown();
    return { kind: "started", node };
  }

  private async becomeKnown(): Promise<void> {
    const { incarnationId, storage } = this.options;
    const isKnown = (): boolean => this.image.cluster.controllers.get(storage.nodeId)?.incarnationId === incarnationId;
    await this.whenImage(() => this.image.features.metadataVersion > 0);
    await this.controllerSide!.registrar.onMetadata();
    if (this.image.features.metadataVersion > 0 && !isKnown()) await this.controllerSide!.registrar.onMetadata();
  }

  /** Resolves once the image is as `isSo` wants it. */
  private whenImage(isSo: () => boolean): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve) => {
      const forget = this.publisher.onImage(() => {
        if (!isSo()) return;
        forget();
        resolve();
      });
    });
  }

  private onMetadata(delta: MetadataDelta, features: ReturnType<typeof supportedFeatures>): void {
    this.lifecycle.onMetadata();
    void this.controllerSide?.registrar.onMetadata();
    if (delta.changedFeatures.size === 0) return;
    const refusal = unsupportedFeature(this.image, features);
    if (refusal !== null) this.options.onFailure(new Error(refusal.message));
  }

  // --- what others read ---------------------------------------------------------------------------

  get image(): MetadataImage {
    return this.publisher.image;
  }

  onImage(listener: (delta: MetadataDelta, image: MetadataImage) => void): () => void {
    return this.publisher.onImage(listener);
  }

  /** On a node with the controller's role. */
  get controller(): Controller {
    const { controllerSide } = this;
    if (controllerSide === null) throw new RequestError(ErrorCode.NOT_CONTROLLER, "this node is no controller");
    return controllerSide.controller;
  }

  private get isActiveController(): boolean {
    return this.controllerSide?.controller.isActive === true;
  }

  get leader(): LeaderAndEpoch {
    return this.quorum.leaderAndEpoch;
  }

  get kraftVersion(): number {
    return this.quorum.kraftVersion;
  }

  get brokerEpoch(): number {
    return this.lifecycle.brokerEpoch;
  }

  addRaftVoter(request: AddRaftVoterRequest): Promise<AddRaftVoterResponseInit> | null {
    return this.leadsQuorum ? this.quorum.onAddVoter(request) : null;
  }

  removeRaftVoter(request: RemoveRaftVoterRequest): Promise<RemoveRaftVoterResponseInit> | null {
    return this.leadsQuorum ? this.quorum.onRemoveVoter(request) : null;
  }

  private get leadsQuorum(): boolean {
    return this.quorum.leaderAndEpoch.leaderId === this.quorum.nodeId;
  }

  describeQuorum(nowMs: number): QuorumDescription | null {
    return this.leader.leaderId === this.options.storage.nodeId ? this.quorum.describe(nowMs) : null;
  }

  /** As its answers tell it, which a broker of a static quorum may have from nowhere else; until then as the voters' record does. */
  private leaderAddress(): PeerAddress | null {
    const told = this.quorum.leaderAddress;
    if (told !== null) return told;
    const { leaderId } = this.leader;
    const endpoints = this.quorum.voters.find(({ id }) => id === leaderId)?.endpoints ?? [];
    const names = this.settings.shape.controllerListenerNames;
    const endpoint = endpoints.find(({ name }) => name === names[0]) ?? endpoints[0];
    return endpoint === undefined ? null : { id: leaderId, host: endpoint.host, port: endpoint.port };
  }

  nextProducerId(): bigint | Promise<bigint> {
    return this.producerIds.next();
  }

  private async allocateProducerIds(): Promise<{ first: bigint; count: number }> {
    const request = { brokerId: this.options.storage.nodeId, brokerEpoch: BigInt(this.brokerEpoch) };
    const answer = await this.channel.request(ApiKey.AllocateProducerIds, request, ownOrigin(allocationMsMax));
    const { errorCode = ErrorCode.NONE } = answer;
    if (errorCode !== ErrorCode.NONE) throw new RequestError(errorCode, "the controller gave no producer ids");
    return { first: BigInt(answer.producerIdStart ?? 0), count: answer.producerIdLen ?? 0 };
  }

  // --- the broker's life ---------------------------------------------------------------------------

  /**
   * Resolves when the image has what the cluster has committed until now. A broker that opened its logs by an older one would take those of
   * newer topics for strays. Waits for a controller as long as it takes.
   */
  async catchUp(): Promise<void> {
    const { clock, logger, timers } = this.options;
    let toldMs = clock.monotonicMs();
    while (!this.isClosed && !(await this.isCaughtUp())) {
      if (this.foreign.isForeign) throw new ForeignCluster(this.clusterId);
      if (clock.monotonicMs() - toldMs > catchUpSilenceMs) {
        toldMs = clock.monotonicMs();
        logger.warn(
          { leader: this.leader },
          "the start waits for the cluster's metadata: no active controller answers yet",
        );
      }
      await new Promise<void>((resolve) => void timers.after(catchUpRetryMs, resolve));
    }
  }

  private async isCaughtUp(): Promise<boolean> {
    if (this.isActiveController) return true;
    const { peers, storage } = this.options;
    const address = this.leaderAddress();
    if (address === null || address.id === storage.nodeId || peers === undefined) return false;
    const topics = [{ topicName: "__cluster_metadata", partitions: [{ partitionIndex: 0 }] }];
    try {
      const options = { timeoutMs: catchUpRequestMs, lane: "control" };
      const answer = await peers.request(address, ApiKey.DescribeQuorum, { topics }, options);
      const partition = answer.topics[0]?.partitions[0];
      if (answer.errorCode !== ErrorCode.NONE || partition === undefined || partition.errorCode !== ErrorCode.NONE)
        return false;
      const highWatermark = Number(partition.highWatermark);
      return highWatermark > 0 && this.quorum.highWatermark >= highWatermark;
    } catch {
      return false;
    }
  }

  /** As a new incarnation, fenced: what an earlier one led has no leader until `unfence`. */
  async register(entry: BrokerEntry): Promise<number> {
    if (this.isActiveController) await this.fenceFormerSelf();
    return this.lifecycle.register(entry);
  }

  /** An incarnation that ended without leaving is still registered as alive: only this process can say that it is not. */
  private async fenceFormerSelf(): Promise<void> {
    const { incarnationId, storage } = this.options;
    const fenced = this.controller.execute((context) => {
      const before = context.image.cluster.broker(storage.nodeId);
      return before === undefined || before.incarnationId === incarnationId
        ? decisionOf(undefined)
        : fenceBroker(context, storage.nodeId);
    });
    await fenced.catch((error: unknown) => {
      // Another leads now, and it hears of the silence.
      if (!(error instanceof NotLeader)) throw error;
    });
  }

  /** The broker takes part from now on; resolves when its partitions have their leader. */
  unfence(): Promise<void> {
    return this.lifecycle.unfence();
  }

  private get isUnfenced(): boolean {
    const broker = this.image.cluster.broker(this.options.storage.nodeId);
    return broker !== undefined && !broker.fenced && broker.epoch === this.brokerEpoch;
  }

  /** A log directory failed: the controller hears, and others lead what was there. */
  onDirectoryFailure(path: string): void {
    const directory = this.options.storage.directories.find((one) => one.path === path);
    if (directory === undefined || this.offlineDirectories.includes(directory.directoryId)) return;
    this.offlineDirectories = [...this.offlineDirectories, directory.directoryId];
    this.lifecycle.onDirectoryFailure();
  }

  private get cordonedDirectories(): Uuid[] {
    const paths = new Set(this.settings.get("cordoned.log.dirs") ?? []);
    return this.options.storage.directories
      .filter(({ path }) => paths.has(path) || paths.has("*"))
      .map(({ directoryId }) => directoryId);
  }

  /** As a broker that stops: it leads nothing any more when this resolves, unless nobody could be told. */
  async leave(): Promise<void> {
    await this.lifecycle.leave();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.lifecycle.close();
    this.router.close();
    this.controllerSide?.registrar.close();
    this.controllerSide?.elections.stop();
    this.controllerSide?.controller.close();
    await this.quorum.close();
  }
}

/** A node without ways to others reaches none. */
const noPeers: Peers = {
  request: () => Promise.reject(new RequestError(ErrorCode.NOT_CONTROLLER, "this node is alone")),
  forget() {},
  close: () => Promise.resolve(),
};

/** The file's settings with the cluster's over them, whenever those change. */
function applyDynamicSettings(
  settings: BrokerSettings,
  nodeId: number,
  delta: MetadataDelta,
  image: MetadataImage,
): void {
  const isConcerned =
    delta.isWhole ||
    [...delta.changedConfigs].some((key) => parseConfigResourceKey(key).type === configResourceType.broker);
  if (isConcerned) settings.applyDynamic(image.configs.broker(String(nodeId)), image.configs.broker(""));
}

/** What a cluster would begin with. */
function imageOf(records: readonly MetadataRecord[]): MetadataImage {
  const image = new MetadataImage();
  for (const record of records) image.replay(record, new MetadataDelta());
  return image;
}

/** controller.quorum.voters; null where it is not set. */
function staticVoters(settings: BrokerSettings): readonly Voter[] | null {
  const { controllerListenerNames, quorumVoters } = settings.shape;
  if (quorumVoters.length === 0) return null;
  return quorumVoters.map(({ nodeId, host, port }) => ({
    id: nodeId,
    directoryId: null,
    endpoints: [{ name: controllerListenerNames[0] ?? "CONTROLLER", host, port }],
  }));
}

function bootstrapAddress(text: string): QuorumAddress {
  const parsed = parseHostAndPort(text);
  if (parsed === null) throw new Error(`${text} of controller.quorum.bootstrap.servers is no address`);
  return { id: -1, host: parsed.host, port: parsed.port };
}

/** An id for a process that has none yet. */
export function newIncarnationId(random: Random): Uuid {
  return randomUuid(random);
}
