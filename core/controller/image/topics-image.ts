// Topics by name and by id, their partitions in an array by index. Changed by replay only.
import { assert, type Uuid } from "../../base/index.ts";
import { topicNameCollisionForm, topicNameMayCollide } from "../../model/index.ts";
import type { PartitionChangeRecord, PartitionRecord, TopicRecord } from "../../protocol/index.ts";
import { ListPool } from "./list-pool.ts";
import type { MetadataDelta } from "./metadata-delta.ts";
import {
  type PartitionImage,
  partitionAfterChange,
  partitionFromRecord,
  partitionWithoutElr,
} from "./partition-image.ts";

export class TopicImage {
  readonly name: string;
  readonly id: Uuid;
  /** By partition index, without gaps. Replaced element by element; readers that await re-read it. */
  readonly partitions: PartitionImage[];

  constructor(name: string, id: Uuid, partitions: PartitionImage[] = []) {
    this.name = name;
    this.id = id;
    this.partitions = partitions;
  }
}

export class TopicsImage {
  readonly byName = new Map<string, TopicImage>();
  readonly byId = new Map<Uuid, TopicImage>();
  /** Of all topics. */
  partitionCount = 0;
  /** Names that metrics could take for another one's, by the form that they would share. */
  private readonly collisionForms = new Map<string, Set<string>>();
  private readonly pool: ListPool;

  constructor(pool: ListPool = new ListPool()) {
    this.pool = pool;
  }

  get(name: string): TopicImage | undefined {
    return this.byName.get(name);
  }

  partition(name: string, index: number): PartitionImage | undefined {
    return this.byName.get(name)?.partitions[index];
  }

  /** Another image of the same content; partitions are shared, being immutable. */
  copy(): TopicsImage {
    const copy = new TopicsImage(this.pool);
    for (const topic of this.byName.values()) copy.add(new TopicImage(topic.name, topic.id, topic.partitions.slice()));
    copy.partitionCount = this.partitionCount;
    return copy;
  }

  private add(topic: TopicImage): void {
    this.byName.set(topic.name, topic);
    this.byId.set(topic.id, topic);
    if (!topicNameMayCollide(topic.name)) return;
    const form = topicNameCollisionForm(topic.name);
    const names = this.collisionForms.get(form);
    if (names === undefined) this.collisionForms.set(form, new Set([topic.name]));
    else names.add(topic.name);
  }

  /** A topic whose name differs from `name` only by `.` and `_`. */
  collidingWith(name: string): string | null {
    if (!topicNameMayCollide(name)) return null;
    for (const other of this.collisionForms.get(topicNameCollisionForm(name)) ?? []) if (other !== name) return other;
    return null;
  }

  private known(id: Uuid, what: string): TopicImage {
    const topic = this.byId.get(id);
    assert(topic !== undefined, `a ${what} names topic ${id}, which the metadata does not have`);
    return topic;
  }

  onTopic(record: TopicRecord, delta: MetadataDelta): void {
    const before = this.byName.get(record.name);
    if (before !== undefined && before.id !== record.topicId) this.remove(before, delta);
    const topic = new TopicImage(record.name, record.topicId);
    this.add(topic);
    delta.topicCreated(topic);
  }

  onPartition(record: PartitionRecord, delta: MetadataDelta): void {
    const topic = this.known(record.topicId, "partition record");
    const index = record.partitionId;
    if (topic.partitions[index] === undefined) this.partitionCount++;
    topic.partitions[index] = partitionFromRecord(record, this.pool);
    delta.partitionChanged(topic, index);
  }

  onPartitionChange(record: PartitionChangeRecord, delta: MetadataDelta): void {
    const topic = this.known(record.topicId, "partition change record");
    const index = record.partitionId;
    const before = topic.partitions[index];
    assert(
      before !== undefined,
      `a partition change record names ${topic.name}-${index}, which the metadata does not have`,
    );
    topic.partitions[index] = partitionAfterChange(before, record, this.pool);
    delta.partitionChanged(topic, index);
  }

  onRemove(id: Uuid, delta: MetadataDelta): void {
    this.remove(this.known(id, "remove topic record"), delta);
  }

  private remove(topic: TopicImage, delta: MetadataDelta): void {
    this.byId.delete(topic.id);
    this.byName.delete(topic.name);
    this.partitionCount -= topic.partitions.length;
    const form = topicNameCollisionForm(topic.name);
    const names = this.collisionForms.get(form);
    names?.delete(topic.name);
    if (names?.size === 0) this.collisionForms.delete(form);
    delta.topicRemoved(topic);
  }

  /** Of one topic, or of all with an empty name. A name that is not there is passed over, as Kafka does. */
  onClearElr(topicName: string, delta: MetadataDelta): void {
    if (topicName === "") {
      for (const topic of this.byName.values()) this.clearElr(topic, delta);
      return;
    }
    const topic = this.byName.get(topicName);
    if (topic !== undefined) this.clearElr(topic, delta);
  }

  private clearElr(topic: TopicImage, delta: MetadataDelta): void {
    const { partitions } = topic;
    for (let index = 0; index < partitions.length; index++) {
      const partition = partitions[index]!;
      if (partition.elr.length === 0 && partition.lastKnownElr.length === 0) continue;
      partitions[index] = partitionWithoutElr(partition, this.pool);
      delta.partitionChanged(topic, index);
    }
  }
}
