// Replication of this broker's partitions: whom they follow, who may follow them, where consumers may read. Knows the metadata, hands partitions to
// fetchers by (leader, number), and wishes of leaders to the controller. Decides by core/replication.
import type { Clock, Logger, Meter, TimerHandle, Timers, Uuid } from "@blumfeld/core/base";
import type { MetadataImage } from "@blumfeld/core/controller";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { type IsrWish, type ReadReplica, type ReplicaMembership, rackAwareReplica } from "@blumfeld/core/replication";
import type { FetchItem } from "../fetch/fetch-item.ts";
import type { FetchGuide } from "../fetch/fetch-plan.ts";
import type { Partition } from "../partition/partition.ts";
import type { PartitionManager } from "../partition/partition-manager.ts";
import type { PartitionReplication } from "../partition/partition-replication.ts";
import type { ControllerChannel } from "../parts.ts";
import type { PeerAddress, Peers } from "../peers/peers.ts";
import { javaStringHash } from "../shards/java-string-hash.ts";
import { DirectoryAssignments } from "./directory-assignments.ts";
import { FetchEntry, type FetchEntryParts } from "./fetch-entry.ts";
import { IsrChanges } from "./isr-changes.ts";
import { registerReplicationMetrics } from "./metrics.ts";
import { ReplicaFetcher, type ReplicaFetcherParts } from "./replica-fetcher.ts";
import { Throttles } from "./throttles.ts";

export const rackAwareSelectorClass = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

export interface ReplicationParts {
  readonly nodeId: number;
  readonly settings: BrokerSettings;
  /** The listener by which brokers reach each other. */
  readonly interBrokerListener: string;
  readonly image: () => MetadataImage;
  /** Of this broker's registration; -1 before it. */
  readonly brokerEpoch: () => number;
  readonly partitions: PartitionManager;
  readonly peers: Peers;
  readonly channel: ControllerChannel;
  /** The log directories with their ids. */
  readonly directories: readonly { readonly path: string; readonly directoryId: Uuid }[];
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly meter: Meter;
}

export class Replication implements PartitionReplication {
  readonly membership: ReplicaMembership;
  readonly isrChanges: IsrChanges;
  private readonly assignments: DirectoryAssignments;
  readonly throttles: Throttles;
  private readonly parts: ReplicationParts;
  private readonly entryParts: FetchEntryParts;
  private readonly fetcherParts: ReplicaFetcherParts;
  private readonly entries = new Map<Partition, { entry: FetchEntry; fetcher: ReplicaFetcher }>();
  private readonly fetchers = new Map<string, ReplicaFetcher>();
  private timer: TimerHandle | null = null;
  private isClosed = false;

  constructor(parts: ReplicationParts) {
    const { clock, logger, nodeId, settings, timers } = parts;
    this.parts = parts;
    this.membership = membershipOf(parts.image);
    this.isrChanges = new IsrChanges({
      nodeId,
      brokerEpoch: parts.brokerEpoch,
      channel: parts.channel,
      timers,
      logger,
    });
    this.assignments = new DirectoryAssignments({
      ...{ nodeId, timers, logger, brokerEpoch: parts.brokerEpoch, channel: parts.channel },
      directoryIdOf: (path) => parts.directories.find((one) => one.path === path)?.directoryId ?? null,
    });
    this.throttles = new Throttles({ nodeId, settings, image: parts.image, clock });
    const backoffMs = (): number => settings.get("replica.fetch.backoff.ms");
    this.entryParts = {
      ...{ logger, backoffMs },
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs(),
    };
    this.fetcherParts = {
      ...{ nodeId, clock, timers, logger },
      peers: parts.peers,
      brokerEpoch: parts.brokerEpoch,
      addressOf: (brokerId) => this.addressOf(brokerId),
      settings: {
        backoffMs,
        waitMsMax: () => settings.get("replica.fetch.wait.max.ms"),
        bytesMin: () => settings.get("replica.fetch.min.bytes"),
        bytesMax: () => settings.get("replica.fetch.max.bytes"),
        responseBytesMax: () => settings.get("replica.fetch.response.max.bytes"),
        timeoutMs: () => settings.get("replica.socket.timeout.ms"),
      },
      isHeldBack: ({ partition }) => this.throttles.isHeldBack("follower", partition),
      onBytes: ({ partition }, bytes) => this.throttles.record("follower", partition, bytes),
    };
    registerReplicationMetrics(parts.meter, parts.partitions, this);
    this.scheduleShrink();
  }

  readonly lagMsMax = (): number => this.parts.settings.get("replica.lag.time.max.ms");
  readonly localBrokerEpoch = (): number => this.parts.brokerEpoch();

  /** Where another broker listens for brokers. Null where the metadata does not say. */
  addressOf(brokerId: number): PeerAddress | null {
    const endpoint = this.parts.image().cluster.broker(brokerId)?.endpoints.get(this.parts.interBrokerListener);
    return endpoint === undefined ? null : { id: brokerId, host: endpoint.host, port: endpoint.port };
  }

  alterIsr(partition: Partition, wish: IsrWish): void {
    this.isrChanges.ask(partition, wish);
  }

  // --- following ---------------------------------------------------------------------------------

  directoryOf(directoryId: Uuid): string | null {
    return this.parts.directories.find((one) => one.directoryId === directoryId)?.path ?? null;
  }

  onPartition(partition: Partition, directoryId: Uuid | undefined): void {
    if (this.isClosed) return;
    this.assignments.check(partition, directoryId);
    const { isLeader, leaderEpoch, leaderId, log } = partition;
    const known = this.entries.get(partition);
    const isFollowed = !isLeader && leaderId >= 0 && log !== null;
    if (known !== undefined) {
      const { entry } = known;
      const isSame = isFollowed && entry.leaderId === leaderId && entry.position.leaderEpoch === leaderEpoch;
      if (isSame) return;
      this.forget(partition);
    }
    if (!isFollowed) return;
    const fetcher = this.fetcherOf(partition);
    const entry = new FetchEntry(partition, log, this.entryParts);
    this.entries.set(partition, { entry, fetcher });
    fetcher.add(entry);
  }

  onRemoved(partition: Partition): void {
    this.forget(partition);
  }

  private forget(partition: Partition): void {
    const known = this.entries.get(partition);
    if (known === undefined) return;
    this.entries.delete(partition);
    const { entry, fetcher } = known;
    fetcher.remove(entry);
    if (fetcher.size > 0) return;
    fetcher.close();
    this.fetchers.delete(`${fetcher.leaderId} ${fetcher.lane}`);
  }

  private fetcherOf({ index, leaderId, topic }: Partition): ReplicaFetcher {
    const count = this.parts.settings.get("num.replica.fetchers");
    const hash = (Math.imul(31, javaStringHash(topic)) + index) | 0;
    const fetcherId = (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % count;
    const made = new ReplicaFetcher(leaderId, fetcherId, this.fetcherParts);
    const key = `${leaderId} ${made.lane}`;
    const known = this.fetchers.get(key);
    if (known !== undefined) return known;
    this.fetchers.set(key, made);
    return made;
  }

  *followed(): Generator<FetchEntry> {
    for (const { entry } of this.entries.values()) yield entry;
  }

  get fetcherCount(): number {
    return this.fetchers.size;
  }

  // --- leading -----------------------------------------------------------------------------------

  /** Twice in the lag time, so that who lags is out after one and a half of it at most. */
  private scheduleShrink(): void {
    const intervalMs = Math.max(1, Math.floor(this.lagMsMax() / 2));
    this.timer = this.parts.timers.after(intervalMs, () => {
      for (const partition of this.parts.partitions.all()) partition.shrinkIsr();
      if (!this.isClosed) this.scheduleShrink();
    });
  }

  /** How a fetch is served besides what the logs say: by whom it is, and from where. */
  guideOf(replicaId: number, rackId: string, listenerName: string): FetchGuide {
    const isRackAware = replicaId < 0 && rackId !== "" && this.isRackAware;
    return {
      readReplicaOf: (partition, fetchOffset) =>
        isRackAware ? this.readReplicaOf(partition, fetchOffset, rackId, listenerName) : -1,
      // Followers in sync are never held back: that would hold back producers.
      isHeldBack: (partition) => !partition.isr.includes(replicaId) && this.throttles.isHeldBack("leader", partition),
    };
  }

  private get isRackAware(): boolean {
    return this.parts.settings.get("replica.selector.class") === rackAwareSelectorClass;
  }

  /** KIP-392: only replicas in sync that have the offset, and that the consumer can reach. */
  private readReplicaOf(partition: Partition, fetchOffset: number, rack: string, listenerName: string): number {
    const { leaderReplicas, log } = partition;
    if (leaderReplicas === null || log === null) return -1;
    const { brokers } = this.parts.image();
    const nowMs = this.parts.clock.monotonicMs();
    const followers: ReadReplica[] = [];
    for (const { brokerId, lastCaughtUpMs, logEndOffset, logStartOffset } of leaderReplicas.allFollowers()) {
      const broker = brokers.get(brokerId);
      if (broker === undefined || broker.fenced || !broker.endpoints.has(listenerName)) continue;
      if (!partition.isr.includes(brokerId) || logEndOffset < fetchOffset || logStartOffset > fetchOffset) continue;
      followers.push({ brokerId, rack: broker.rack, logEndOffset, lagMs: nowMs - lastCaughtUpMs });
    }
    const { nodeId } = this.parts;
    const leader = {
      brokerId: nodeId,
      rack: brokers.get(nodeId)?.rack ?? null,
      logEndOffset: log.logEndOffset,
      lagMs: 0,
    };
    return rackAwareReplica(rack, leader, followers) ?? -1;
  }

  /** What an answer gave to a follower counts for the throttle, where it is not in sync. */
  onFollowerAnswer(replicaId: number, items: readonly FetchItem[]): void {
    for (const { partition, recordsBytes } of items) {
      if (partition === null || recordsBytes === 0 || partition.isr.includes(replicaId)) continue;
      this.throttles.record("leader", partition, recordsBytes);
    }
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
    this.isrChanges.close();
    this.assignments.close();
    for (const fetcher of this.fetchers.values()) fetcher.close();
    this.fetchers.clear();
    this.entries.clear();
  }
}

function membershipOf(image: () => MetadataImage): ReplicaMembership {
  return {
    isFenced: (id) => image().cluster.broker(id)?.fenced ?? true,
    isLeaving: (id) => image().cluster.broker(id)?.inControlledShutdown ?? false,
    brokerEpochOf: (id) => {
      const broker = image().cluster.broker(id);
      return broker === undefined || broker.fenced ? null : broker.epoch;
    },
  };
}
