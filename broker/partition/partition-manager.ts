// The partitions of this broker. Acts on metadata: opens and deletes logs, takes up and lays down leadership, passes topic settings on.
// Decides nothing by itself: what the image says, it does; what it cannot do (a disk that fails), requests learn as KAFKA_STORAGE_ERROR.
import { type Clock, DiskError, type Logger, type Timers, type Uuid } from "@blumfeld/core/base";
import type { MetadataDelta, MetadataImage, TopicImage } from "@blumfeld/core/controller";
import type { LogManager, PartitionLog } from "@blumfeld/core/log";
import { partitionIndexOf, type TopicPartition } from "@blumfeld/core/model";
import { Partition, type PartitionHost } from "./partition.ts";
import { noReplication, type PartitionReplication } from "./partition-replication.ts";
import type { WritePace } from "./write-pace.ts";
import { WriteTurn } from "./write-turn.ts";

/** Told about one topic's partitions on this broker: how coordinators learn which shards are theirs. */
export interface PartitionObserver {
  /** This broker leads the partition, since just now or in a new epoch. Its log is open. */
  onLeader(partition: Partition): void;
  /** No longer; also when the partition was deleted. */
  onResigned(partition: Partition): void;
  /** After the write turn, before appends are answered. */
  onHighWatermark(partition: Partition): void;
}

/**
 * Opening the logs of a large change may hold the loop for about this long a turn; the rest waits for the next turns, and requests for those
 * partitions are told to try again, as by a broker of Apache Kafka that has not caught up with the metadata.
 */
export const openingMsMax = 25;

export interface PartitionManagerParts {
  readonly nodeId: number;
  readonly logManager: LogManager;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class PartitionManager implements PartitionHost {
  readonly nodeId: number;
  readonly writeTurn: WriteTurn;
  /** Set before the first image by a broker that has peers. */
  replication: PartitionReplication = noReplication;
  private readonly parts: PartitionManagerParts;
  private readonly byTopic = new Map<string, (Partition | undefined)[]>();
  private readonly byTopicId = new Map<Uuid, (Partition | undefined)[]>();
  private readonly observers = new Map<string, PartitionObserver[]>();
  /** Partitions whose logs are not open yet, in the order of the metadata; each is looked up anew when its turn comes. */
  private unopened: { topicId: Uuid; index: number }[] = [];
  private image: MetadataImage | null = null;
  /** The broker stops: nothing is led here any more. */
  isClosed = false;
  /** A whole image is taken up: what is in it may have been here before. */
  private isLoadingImage = false;

  constructor(parts: PartitionManagerParts) {
    this.parts = parts;
    this.nodeId = parts.nodeId;
    this.writeTurn = new WriteTurn({
      clock: parts.clock,
      timers: parts.timers,
      logger: parts.logger,
      onHighWatermark: (partition) => this.onHighWatermark(partition),
    });
  }

  /** Null where this broker has no replica of it. */
  get(topic: string, index: number): Partition | null {
    return this.byTopic.get(topic)?.[index] ?? null;
  }

  getById(topicId: Uuid, index: number): Partition | null {
    return this.byTopicId.get(topicId)?.[index] ?? null;
  }

  *all(): IterableIterator<Partition> {
    for (const partitions of this.byTopic.values()) {
      for (const partition of partitions) if (partition !== undefined) yield partition;
    }
  }

  /** The observer hears at once of the partitions that are led here already. */
  observe(topic: string, observer: PartitionObserver): void {
    const observers = this.observers.get(topic) ?? [];
    observers.push(observer);
    this.observers.set(topic, observers);
    for (const partition of this.byTopic.get(topic) ?? []) if (partition?.isLeader) observer.onLeader(partition);
  }

  markDirty(partition: Partition): void {
    this.writeTurn.markDirty(partition);
  }

  paceOf(directory: string): WritePace {
    return this.writeTurn.paceOf(directory);
  }

  nowMs(): number {
    return this.parts.clock.monotonicMs();
  }

  private onHighWatermark(partition: Partition): void {
    const observers = this.observers.get(partition.topic);
    if (observers !== undefined) for (const observer of observers) observer.onHighWatermark(partition);
  }

  // --- metadata --------------------------------------------------------------------------------

  onImage(delta: MetadataDelta, image: MetadataImage): void {
    this.image = image;
    if (delta.isWhole) {
      this.applyWhole(image);
      return;
    }
    for (const topic of delta.removedTopics) this.removeTopic(topic.name, topic.id);
    const wasQueued = this.unopened.length > 0;
    const untilMs = this.parts.clock.monotonicMs() + openingMsMax;
    for (const change of delta.changedTopics.values()) {
      for (const index of change.partitions) {
        if (!wasQueued && this.parts.clock.monotonicMs() < untilMs) this.applyPartition(change.topic, index);
        else this.unopened.push({ topicId: change.topic.id, index });
      }
    }
    if (!wasQueued && this.unopened.length > 0) this.parts.timers.after(0, this.openMore);
  }

  private readonly openMore = (): void => {
    const untilMs = this.parts.clock.monotonicMs() + openingMsMax;
    let opened = 0;
    for (; opened < this.unopened.length && !this.isClosed; opened++) {
      if (this.parts.clock.monotonicMs() >= untilMs) break;
      const { topicId, index } = this.unopened[opened]!;
      // Gone when the topic was deleted meanwhile.
      const topic = this.image?.topics.byId.get(topicId);
      if (topic !== undefined) this.applyPartition(topic, index);
    }
    if (this.isClosed) return;
    this.unopened.splice(0, opened);
    if (this.unopened.length > 0) this.parts.timers.after(0, this.openMore);
  };

  /** At start: everything that the image has for this broker. */
  loadImage(image: MetadataImage): void {
    this.image = image;
    this.applyWhole(image);
  }

  private applyWhole(image: MetadataImage): void {
    for (const [name, partitions] of [...this.byTopic]) {
      const id = partitions.find((partition) => partition !== undefined)?.topicId;
      if (id !== undefined && image.topics.get(name)?.id !== id) this.removeTopic(name, id);
    }
    this.isLoadingImage = true;
    for (const topic of image.topics.byName.values()) {
      for (let index = 0; index < topic.partitions.length; index++) this.applyPartition(topic, index);
    }
    this.isLoadingImage = false;
  }

  private applyPartition(topic: TopicImage, index: number): void {
    const image = topic.partitions[index];
    if (image === undefined) return;
    let partition = this.byTopicId.get(topic.id)?.[index];
    if (!image.replicas.includes(this.nodeId)) {
      if (partition !== undefined) this.removePartition(partition, true);
      return;
    }
    const directoryId = image.directories[image.replicas.indexOf(this.nodeId)];
    if (partition === undefined) partition = this.addPartition(topic, index, directoryId);
    const change = partition.apply(image);
    this.replication.onPartition(partition, directoryId);
    if (change === "same") return;
    for (const observer of this.observers.get(topic.name) ?? []) {
      if (change === "leader") observer.onLeader(partition);
      else observer.onResigned(partition);
    }
  }

  /** A replica has moved to another log directory of this broker. */
  onReplicaMoved(partition: Partition): void {
    const image = this.image?.topics.byId.get(partition.topicId)?.partitions[partition.index];
    if (image === undefined) return;
    this.replication.onPartition(partition, image.directories[image.replicas.indexOf(this.nodeId)]);
  }

  private addPartition(topic: TopicImage, index: number, directoryId: Uuid | undefined): Partition {
    // A topic of this name with another id was removed before: its delta named it.
    const log = this.openLog({ topic: topic.name, partition: partitionIndexOf(index) }, topic.id, directoryId);
    const partition = new Partition(this, topic.name, topic.id, index, log);
    let partitions = this.byTopicId.get(topic.id);
    if (partitions === undefined) {
      partitions = [];
      this.byTopicId.set(topic.id, partitions);
      this.byTopic.set(topic.name, partitions);
    }
    partitions[index] = partition;
    return partition;
  }

  /** Where the metadata says, if it names a directory of this broker; else where there is room. */
  private openLog(topicPartition: TopicPartition, topicId: Uuid, directoryId: Uuid | undefined): PartitionLog | null {
    const directory = directoryId === undefined ? null : this.replication.directoryOf(directoryId);
    const options = { topicId, isNew: !this.isLoadingImage, ...(directory === null ? {} : { directory }) };
    try {
      return this.parts.logManager.getOrCreate(topicPartition, options);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.parts.logger.error(
        { topic: topicPartition.topic, partition: topicPartition.partition, code: error.code },
        `the log cannot be opened: ${error.message}`,
      );
      return null;
    }
  }

  private removeTopic(name: string, id: Uuid): void {
    for (const partition of this.byTopicId.get(id) ?? [])
      if (partition !== undefined) this.removePartition(partition, true);
    this.byTopicId.delete(id);
    if (this.byTopic.get(name)?.every((partition) => partition === undefined) ?? false) this.byTopic.delete(name);
  }

  private removePartition(partition: Partition, deleteLog: boolean): void {
    const wasLeader = partition.isLeader;
    const partitions = this.byTopicId.get(partition.topicId);
    if (partitions !== undefined) partitions[partition.index] = undefined;
    partition.retire();
    this.replication.onRemoved(partition);
    if (wasLeader) for (const observer of this.observers.get(partition.topic) ?? []) observer.onResigned(partition);
    if (!deleteLog || partition.log === null) return;
    partition.log = null;
    try {
      this.parts.logManager.delete({ topic: partition.topic, partition: partitionIndexOf(partition.index) });
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.parts.logger.error(
        { partition: partition.name, code: error.code },
        `the log cannot be deleted: ${error.message}`,
      );
    }
  }

  /** Before the logs are closed: everything appended is written, everybody who waits is told. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.writeTurn.drain();
    for (const partition of this.all()) {
      const wasLeader = partition.isLeader;
      partition.retire();
      if (wasLeader) for (const observer of this.observers.get(partition.topic) ?? []) observer.onResigned(partition);
    }
  }
}
