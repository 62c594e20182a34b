// One node of a simulated quorum: its disk, which outlives it, and the process that runs on it now, with a state machine of its own.
import { DiskError, type Uuid } from "@blumfeld/core/base";
import { createLog, loadLog, logConfigDefaults, type PartitionLog, standaloneEnvironment } from "@blumfeld/core/log";
import {
  batchBaseOffset,
  batchCrc,
  batchIsControl,
  batchLeaderEpoch,
  batchSizeAt,
  type Offset,
  partitionIndexOf,
  RecordBatchView,
} from "@blumfeld/core/model";
import {
  ApiKey,
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecord,
  type MetadataRecordInit,
  type VoteRequest,
} from "@blumfeld/core/protocol";
import {
  type CommittedBatch,
  decodeMetadataBatch,
  type LeaderAndEpoch,
  type PreparedRecord,
  type QuorumAddress,
  type QuorumListener,
  QuorumReplica,
  type QuorumSettings,
  quorumStateName,
  readQuorumState,
  type SnapshotId,
  type SnapshotLimits,
  type Voter,
  type VoterEndpoint,
  writeSnapshotNow,
} from "@blumfeld/core/quorum";
import { FaultyDisk } from "../../disk/faulty-disk.ts";
import { InvariantBroken, type SimProcess, type SimWorld } from "../world.ts";
import { apply, type QuorumChecker, textOf } from "./checker.ts";
import { nodeHooks } from "./node-hooks.ts";
import type { RpcNetwork, RpcServer } from "./rpc-network.ts";

export const metadataPath = "/data/__cluster_metadata-0";
const clusterId = "c2ltdWxhdGVkLXF1b3J1bQ";
/** Bootstrap servers are told it; a node answers there whatever it has told the voters. */
export const bootstrapPort = 9093;

export interface NodePlan {
  readonly id: number;
  readonly isController: boolean;
  /** In the configuration; null with kraft.version 1. */
  readonly staticVoters: readonly Voter[] | null;
  readonly bootstrapServers: readonly QuorumAddress[];
  readonly settings: QuorumSettings;
  readonly limits: SnapshotLimits;
  readonly segmentBytes: number;
}

export interface NodeParts {
  readonly world: SimWorld;
  readonly network: RpcNetwork;
  readonly checker: QuorumChecker;
}

export function configRecord(name: string, value: string): MetadataRecordInit {
  return { type: "ConfigRecord", version: 0, value: { resourceType: 4, resourceName: "", name, value } };
}

export function prepared(name: string, value: string): PreparedRecord {
  const bytes = encodeMetadataRecord(configRecord(name, value));
  return { bytes, record: decodeMetadataRecord(bytes) };
}

export class QuorumNode {
  readonly id: number;
  readonly plan: NodePlan;
  disk: FaultyDisk;
  directoryId: Uuid;
  port = bootstrapPort;
  process: QuorumProcess | null = null;
  /** It has been replaced: what it was told before means nothing to its new disk. */
  epochSeen = 0;
  /** How many voters it last went by. */
  votersSeen = 0;
  /** The time when it comes back. */
  downUntilMs = 0;
  private readonly parts: NodeParts;
  private directoryCount = 0;

  constructor(parts: NodeParts, plan: NodePlan) {
    this.parts = parts;
    this.plan = plan;
    this.id = plan.id;
    this.directoryId = this.nextDirectoryId();
    this.disk = this.newDisk();
  }

  private nextDirectoryId(): Uuid {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32BE(this.id, 0);
    bytes.writeUInt32BE(++this.directoryCount, 12);
    return bytes.toString("base64url") as Uuid;
  }

  private newDisk(): FaultyDisk {
    const { world } = this.parts;
    return new FaultyDisk({
      seed: world.random.uint32(),
      wallMs: () => Math.floor(world.nowMs),
      later: () => new Promise((resolve) => world.at(world.random.fraction() * this.syncMsMax, this.process, resolve)),
    });
  }

  /** A sync takes up to so long. */
  syncMsMax = 3;

  get endpoints(): readonly VoterEndpoint[] {
    return [{ name: "CONTROLLER", host: `node${this.id}`, port: this.port }];
  }

  /** As kafka-storage leaves it. */
  format(voters: readonly Voter[] | null): void {
    this.disk.makeDirectory(metadataPath);
    const quorum = voters === null ? null : { kraftVersion: 1, voters };
    if (voters !== null) {
      writeSnapshotNow(
        this.disk,
        metadataPath,
        { id: { endOffset: 0, epoch: 0 }, lastContainedMs: 0, nowMs: 0, quorum },
        [],
      );
    }
    this.disk.crash({ writes: "none", names: "none" });
  }

  /** A new disk, with nothing on it but the format. */
  replaceDisk(): void {
    this.disk = this.newDisk();
    if (!nodeHooks.faults.keepsDirectoryId) this.directoryId = this.nextDirectoryId();
    this.epochSeen = 0;
    this.format(null);
  }

  start(): void {
    plantInDisk(this.disk);
    this.process = new QuorumProcess(this, this.parts);
    this.process.start();
  }

  /** The process is gone, without a word. */
  kill(): void {
    const { process } = this;
    if (process === null) return;
    process.isAlive = false;
    this.process = null;
  }
}

export class QuorumProcess implements RpcServer, SimProcess, QuorumListener {
  readonly id: number;
  readonly name: string;
  isAlive = true;
  pausedUntilMs = 0;
  wallSkewMs = 0;
  quorum: QuorumReplica | null = null;
  log: PartitionLog | null = null;
  /** What it has to be told about itself when it cannot go on. */
  failure: unknown = null;
  state = new Map<string, string>();
  applied = 0;
  /** Records that name voters, which this process has appended and not cut. */
  private votersInLog: { readonly offset: number; readonly text: string }[] = [];
  lastRole = "";
  lastHighWatermark = 0;
  /** As its controller sees it. */
  leading: LeaderAndEpoch = { leaderId: -1, epoch: 0 };
  private readonly node: QuorumNode;
  private readonly parts: NodeParts;

  constructor(node: QuorumNode, parts: NodeParts) {
    this.node = node;
    this.parts = parts;
    this.id = node.id;
    this.name = `n${node.id}`;
  }

  start(): void {
    const { node, parts } = this;
    const { plan } = node;
    const { world } = parts;
    let log: PartitionLog;
    try {
      log = this.openLog();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.failure = error;
      return;
    }
    this.log = log;
    const started = QuorumReplica.start({
      nodeId: node.id,
      directoryId: node.directoryId,
      clusterId,
      isController: plan.isController,
      staticVoters: plan.staticVoters,
      bootstrapServers: plan.bootstrapServers,
      endpoints: plan.isController ? node.endpoints : null,
      listenerName: "CONTROLLER",
      disk: node.disk,
      clock: world.clockOf(this),
      timers: world.timersOf(this),
      random: { uint32: () => world.random.uint32(), bytes: (length) => world.random.bytes(length) },
      logger: world.loggerOf(this),
      log,
      limits: plan.limits,
      settings: plan.settings,
      listeners: [this],
      snapshotSource: () => [...this.state].map(([name, value]) => configRecord(name, value)),
      send: (to, key, request, timeoutMs) => parts.network.send(this, to, key, request, timeoutMs),
      onFailure: (error) => {
        this.failure = error;
      },
    });
    if (started.kind === "refused" && started.code === "disk") {
      this.failure = new DiskError("EIO", metadataPath, started.message);
      return;
    }
    if (started.kind === "refused")
      throw new InvariantBroken(`node ${node.id} does not start again: ${started.message}`);
    this.quorum = started.quorum;
  }

  private openLog(): PartitionLog {
    const { disk, id, plan } = this.node;
    const { checker, world } = this.parts;
    const environment = standaloneEnvironment({ disk, clock: world.clockOf(this), random: world.random });
    const topicPartition = { topic: "__cluster_metadata", partition: partitionIndexOf(0) };
    const place = { topicPartition, directory: "/data", folder: metadataPath };
    const config = { ...logConfigDefaults, segmentBytes: plan.segmentBytes, retentionMs: -1, retentionBytes: -1 };
    const start = 0 as Offset;
    const load = { hadCleanShutdown: false, recoveryPoint: start, logStartOffset: start, highWatermark: start };
    const log =
      disk.status(metadataPath) === null
        ? createLog(environment, place, config, null)
        : loadLog(environment, place, config, load).log;
    plantInLog(log);
    const append = log.append.bind(log);
    log.append = (bytes, how) => {
      const outcome = append(bytes, how);
      if (outcome.kind === "appended") {
        for (let at = 0; at < bytes.length; at += batchSizeAt(bytes, at)) {
          checker.onAppend(id, batchBaseOffset(bytes, at), batchLeaderEpoch(bytes, at), batchCrc(bytes, at));
          if (batchIsControl(bytes, at)) this.noteVoters(new RecordBatchView(bytes, at));
        }
      }
      return outcome;
    };
    const truncateTo = log.truncateTo.bind(log);
    log.truncateTo = (offset) => {
      const isCut = truncateTo(offset);
      this.votersInLog = this.votersInLog.filter((each) => each.offset < offset);
      return isCut;
    };
    const truncateFully = log.truncateFullyAndStartAt.bind(log);
    log.truncateFullyAndStartAt = (offset) => {
      this.votersInLog = [];
      truncateFully(offset);
    };
    return log;
  }

  private noteVoters(view: RecordBatchView): void {
    const batch = decodeMetadataBatch(view, metadataPath, 0);
    batch.controls.forEach((control, index) => {
      if (control.type !== "Voters") return;
      const text = control.value.voters.map(({ voterDirectoryId, voterId }) => `${voterId}/${voterDirectoryId}`).join();
      this.votersInLog.push({ offset: batch.baseOffset + index, text });
    });
  }

  /** Null where it goes by the voters of the last record in its log, as far as this process has seen them. */
  votersProblem(): string | null {
    const last = this.votersInLog.at(-1);
    if (last === undefined) return null;
    const text = this.quorum!.voters.map(({ directoryId, id }) => `${id}/${directoryId}`).join();
    return text === last.text ? null : `goes by the voters ${text}; its log says ${last.text} at offset ${last.offset}`;
  }

  // --- the listener ------------------------------------------------------------------------------

  onSnapshot(id: SnapshotId, records: Iterable<MetadataRecord>): void {
    if (id.endOffset < this.applied)
      throw new InvariantBroken(`${this.name} goes back to a snapshot that ends at ${id.endOffset}`);
    this.state = this.parts.checker.onSnapshot(this.id, id, [...records].map(textOf));
    this.applied = id.endOffset;
  }

  onCommit(batches: readonly CommittedBatch[]): void {
    for (const { baseOffset, lastOffset, records } of batches) {
      if (baseOffset < this.applied) throw new InvariantBroken(`${this.name} is given offset ${baseOffset} twice`);
      for (const record of records) apply(this.state, textOf(record));
      this.applied = lastOffset + 1;
    }
    this.parts.checker.onCommit(this.id, batches);
  }

  onLeaderChange(leader: LeaderAndEpoch): void {
    if (leader.epoch < this.leading.epoch)
      throw new InvariantBroken(`${this.name} is told of epoch ${leader.epoch} after ${this.leading.epoch}`);
    this.leading = leader;
  }

  /** A vote that is said is on disk: after a crash it would be given again. */
  private checkVote(request: VoteRequest, isGranted: boolean): void {
    const asked = request.topics[0]?.partitions[0];
    if (!isGranted || asked === undefined || asked.preVote) return;
    const outcome = readQuorumState(this.node.disk, metadataPath);
    const state = outcome.kind === "read" ? outcome.state : null;
    if (state?.votedId === asked.replicaId && state.leaderEpoch === asked.replicaEpoch) return;
    this.failure = new InvariantBroken(
      `${this.name} gives a vote in epoch ${asked.replicaEpoch} that is not on its disk`,
    );
  }

  // --- the server --------------------------------------------------------------------------------

  isAt(host: string, port: number): boolean {
    return this.isAlive && host === `node${this.id}` && (port === this.node.port || port === bootstrapPort);
  }

  serve(key: ApiKey, version: number, request: unknown): Promise<object | null> | object | null {
    const { quorum } = this;
    if (quorum === null) return null;
    const nowMs = this.parts.world.clockOf(this).wallMs();
    const context = { apiVersion: version, listenerName: "CONTROLLER", nowMs };
    switch (key) {
      case ApiKey.Vote: {
        const response = quorum.onVote(request as never, context);
        this.checkVote(request as VoteRequest, response.topics[0]?.partitions[0]?.voteGranted === true);
        return response;
      }
      case ApiKey.BeginQuorumEpoch:
        return quorum.onBeginQuorumEpoch(request as never, context);
      case ApiKey.EndQuorumEpoch:
        return quorum.onEndQuorumEpoch(request as never, context);
      case ApiKey.Fetch:
        return quorum.onFetch(request as never, context);
      case ApiKey.FetchSnapshot:
        return quorum.onFetchSnapshot(request as never, context);
      case ApiKey.AddRaftVoter:
        return quorum.onAddVoter(request as never);
      case ApiKey.RemoveRaftVoter:
        return quorum.onRemoveVoter(request as never);
      case ApiKey.UpdateRaftVoter:
        return quorum.onUpdateVoter(request as never, context);
      case ApiKey.ApiVersions:
        return {
          errorCode: 0,
          apiKeys: [],
          throttleTimeMs: 0,
          supportedFeatures: [{ name: "kraft.version", minVersion: 0, maxVersion: 1 }],
        };
      default:
        return null;
    }
  }
}

function plantInLog(log: PartitionLog): void {
  const { ignoresEpochs, neverSyncs } = nodeHooks.faults;
  if (neverSyncs) {
    log.flush = () => {};
    log.flushLater = async () => {};
  }
  if (ignoresEpochs) {
    log.endOffsetForEpoch = (epoch) => ({ epoch: epoch as never, endOffset: log.logEndOffset });
  }
}

function plantInDisk(disk: FaultyDisk): void {
  const { forgetsVote, writesStateUnsynced } = nodeHooks.faults;
  const path = `${metadataPath}/${quorumStateName}`;
  if (forgetsVote && disk.status(path) !== null) {
    try {
      const state = JSON.parse(disk.readFile(path).toString()) as object;
      disk.writeFileAtomic(path, Buffer.from(JSON.stringify({ ...state, votedId: -1 })));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
    }
  }
  if (writesStateUnsynced) {
    disk.writeFileAtomic = (target, bytes) => {
      if (target !== path) {
        FaultyDisk.prototype.writeFileAtomic.call(disk, target, bytes);
        return;
      }
      const file = disk.open(target, "append");
      file.truncate(0);
      file.write([bytes], 0);
      file.close();
    };
  }
}
