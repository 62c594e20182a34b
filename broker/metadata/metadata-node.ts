// The metadata side of a node with both roles: the quorum and its log, the active controller on it, the committed image for the broker,
// and the broker's own life in the cluster (registered, unfenced, leaving). Started before the broker's listeners, closed after them.
//
//   const started = await MetadataNode.start({ … });
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
  beginControlledShutdown,
  bootstrapRecords,
  Controller,
  configResourceType,
  cordonDirectories,
  decisionOf,
  fenceBroker,
  MetadataDelta,
  MetadataImage,
  MetadataPublisher,
  parseConfigResourceKey,
  type RegisteredEndpoint,
  readBootstrap,
  registerBroker,
  registerController,
  supportedFeatures,
  unfenceBroker,
  unsupportedFeature,
} from "@blumfeld/core/controller";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { ApiKey, ErrorCode, type MetadataRecord, type MetadataRecordInit } from "@blumfeld/core/protocol";
import {
  type LeaderAndEpoch,
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
import { RequestError } from "../request-context.ts";
import { type Authorizer, allowAll, anonymousPrincipal } from "../security-seam.ts";
import { BrokerWatch } from "./broker-watch.ts";
import type { ClusterAccess, TransactionalInit } from "./cluster-access.ts";
import { LocalControllerChannel } from "./local-controller-channel.ts";
import { ProducerIdBlocks } from "./producer-id-blocks.ts";

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
  /** What the controller's listeners are reached by. */
  readonly controllerEndpoints: readonly RegisteredEndpoint[];
  readonly authorizer?: Authorizer;
  /** The metadata log failed: the process cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export interface BrokerEntry {
  /** Advertised. */
  readonly endpoints: readonly RegisteredEndpoint[];
  /** What the last clean stop left; -1 where it left nothing. */
  readonly previousBrokerEpoch: number;
}

export type MetadataNodeStart = { readonly kind: "started"; readonly node: MetadataNode } | StorageRefusal;

export class MetadataNode implements MetadataSource, ClusterAccess {
  readonly settings: BrokerSettings;
  readonly clusterId: string;
  readonly channel: ControllerChannel;
  readonly controller: Controller;
  transactionalInit: TransactionalInit | null = null;
  private readonly options: MetadataNodeOptions;
  private readonly publisher: MetadataPublisher;
  /** What other nodes replicate. */
  readonly quorum: QuorumReplica;
  private readonly watch: BrokerWatch;
  private readonly producerIds: ProducerIdBlocks;
  private registeredEpoch = -1;

  private constructor(options: MetadataNodeOptions, publisher: MetadataPublisher, quorum: QuorumReplica) {
    const { clock, logger, random, settings, storage, timers } = options;
    this.options = options;
    this.settings = settings;
    this.clusterId = storage.clusterId;
    this.publisher = publisher;
    this.quorum = quorum;
    this.controller = new Controller({
      ...{ settings, quorum, publisher, random, timers, logger },
      nodeId: storage.nodeId,
      clusterId: storage.clusterId,
      supportedFeatures: supportedFeatures(settings.get("unstable.feature.versions.enable")),
      wallMs: () => clock.wallMs(),
      idleIntervalMs: settings.get("metadata.max.idle.interval.ms"),
    });
    this.watch = new BrokerWatch({
      ...{ clock, logger, timers },
      controller: this.controller,
      // This process is its own witness.
      ownBrokerId: storage.nodeId,
      sessionMs: settings.get("broker.session.timeout.ms"),
      committedOffset: () => quorum.highWatermark - 1,
    });
    this.channel = new LocalControllerChannel({
      controller: this.controller,
      authorizer: options.authorizer ?? allowAll,
      watch: this.watch,
    });
    this.producerIds = new ProducerIdBlocks(() => this.allocateProducerIds());
  }

  /** Replays the log, elects itself, begins a new cluster where there is none yet. */
  static async start(options: MetadataNodeOptions): Promise<MetadataNodeStart> {
    const { settings, storage } = options;
    const publisher = new MetadataPublisher();
    publisher.onImage((delta, image) => applyDynamicSettings(settings, storage.nodeId, delta, image));
    const bootstrap = readBootstrap(options.disk, storage.metadataDirectory.path);
    if (bootstrap !== null && "kind" in bootstrap) return bootstrap;
    const started = QuorumReplica.start({
      ...options,
      nodeId: storage.nodeId,
      clusterId: storage.clusterId,
      settings: quorumSettingsOf(settings),
      directoryId: storage.metadataDirectory.directoryId,
      staticVoters: staticVoters(settings),
      endpoints: options.controllerEndpoints.map(({ host, name, port }) => ({ name, host, port })),
      limits: {
        ...snapshotLimitsDefault,
        snapshotBytesMax: settings.get("metadata.log.max.record.bytes.between.snapshots"),
        snapshotIntervalMs: settings.get("metadata.log.max.snapshot.interval.ms"),
        retentionBytes: settings.get("metadata.max.retention.bytes"),
        retentionMs: settings.get("metadata.max.retention.ms"),
      },
      listeners: [publisher],
      snapshotSource: () => publisher.snapshotRecords(),
    });
    if (started.kind === "refused") return started;
    const supported = supportedFeatures(settings.get("unstable.feature.versions.enable"));
    const refusal =
      unsupportedFeature(publisher.image, supported) ?? unsupportedFeature(imageOf(bootstrap ?? []), supported);
    if (refusal !== null) {
      await started.quorum.close();
      return refusal;
    }
    const node = new MetadataNode(options, publisher, started.quorum);
    await node.begin(bootstrap);
    return { kind: "started", node };
  }

  private async begin(bootstrap: readonly MetadataRecordInit[] | null): Promise<void> {
    const { controllerEndpoints, incarnationId, settings, storage } = this.options;
    const { controller } = this;
    if (controller.image.features.metadataVersion === 0) {
      await controller.execute(() => decisionOf(undefined, bootstrapRecords(bootstrap, settings)));
    }
    const registration = {
      id: storage.nodeId,
      incarnationId,
      zkMigrationReady: false,
      endpoints: new Map(controllerEndpoints.map((endpoint) => [endpoint.name, endpoint])),
      supportedFeatures: controller.context().supportedFeatures,
    };
    await controller.execute((context) => registerController(context, registration));
    this.watch.start();
  }

  get image(): MetadataImage {
    return this.publisher.image;
  }

  onImage(listener: (delta: MetadataDelta, image: MetadataImage) => void): () => void {
    return this.publisher.onImage(listener);
  }

  get leader(): LeaderAndEpoch {
    return this.quorum.leaderAndEpoch;
  }

  get kraftVersion(): number {
    return this.quorum.kraftVersion;
  }

  /** Of this broker's registration; -1 before it. */
  get brokerEpoch(): number {
    return this.registeredEpoch;
  }

  describeQuorum(nowMs: number): QuorumDescription {
    return this.quorum.describe(nowMs);
  }

  nextProducerId(): bigint | Promise<bigint> {
    return this.producerIds.next();
  }

  private async allocateProducerIds(): Promise<{ first: bigint; count: number }> {
    const request = { brokerId: this.options.storage.nodeId, brokerEpoch: BigInt(this.registeredEpoch) };
    // The node asks itself, as whom its authorizer lets act for the cluster.
    const origin = { principal: anonymousPrincipal, clientAddress: "", listenerName: "", clientId: null, timeoutMs: 0 };
    const { controller, watch } = this;
    const channel = new LocalControllerChannel({ controller, authorizer: allowAll, watch });
    const answer = await channel.request(ApiKey.AllocateProducerIds, request, origin);
    if (answer.errorCode !== ErrorCode.NONE) {
      throw new RequestError(answer.errorCode, "the controller gave no producer ids");
    }
    return { first: BigInt(answer.producerIdStart), count: answer.producerIdLen };
  }

  /** As a new incarnation, fenced: what an earlier one led has no leader until `unfence`. */
  async register(entry: BrokerEntry): Promise<number> {
    const { incarnationId, settings, storage } = this.options;
    // An incarnation that ended without leaving is still registered as alive: only this process can say that it is not.
    await this.controller.execute((context) => {
      const before = context.image.cluster.broker(storage.nodeId);
      return before === undefined || before.incarnationId === incarnationId
        ? decisionOf(undefined)
        : fenceBroker(context, storage.nodeId);
    });
    const answer = await this.controller.execute((context) =>
      registerBroker(context, {
        brokerId: storage.nodeId,
        clusterId: storage.clusterId,
        incarnationId,
        endpoints: entry.endpoints,
        features: context.supportedFeatures,
        rack: settings.get("broker.rack"),
        directories: storage.directories.map(({ directoryId }) => directoryId),
        cordonedDirectories: null,
        previousBrokerEpoch: entry.previousBrokerEpoch,
      }),
    );
    if (answer.errorCode !== ErrorCode.NONE) {
      throw new RequestError(answer.errorCode, answer.errorMessage ?? "the broker could not register");
    }
    this.registeredEpoch = answer.brokerEpoch;
    return answer.brokerEpoch;
  }

  /** The broker takes part from now on; resolves when its partitions have their leader. */
  async unfence(): Promise<void> {
    const { settings, storage } = this.options;
    const cordonedPaths = new Set(settings.get("cordoned.log.dirs") ?? []);
    const cordoned = storage.directories
      .filter(({ path }) => cordonedPaths.has(path) || cordonedPaths.has("*"))
      .map(({ directoryId }) => directoryId);
    await this.controller.execute((context) => cordonDirectories(context, storage.nodeId, cordoned));
    await this.controller.execute((context) => unfenceBroker(context, storage.nodeId));
  }

  /** As a broker that stops: it leads nothing any more when this resolves. */
  async leave(): Promise<void> {
    const { nodeId } = this.options.storage;
    if (!this.controller.isActive) return;
    await this.controller.execute((context) => beginControlledShutdown(context, nodeId));
    await this.controller.execute((context) => fenceBroker(context, nodeId));
  }

  async close(): Promise<void> {
    this.watch.close();
    this.controller.close();
    await this.quorum.close();
  }
}

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

/** An id for a process that has none yet. */
export function newIncarnationId(random: Random): Uuid {
  return randomUuid(random);
}
