// What some records changed in the image, as names: who reads it finds the new state in the image. Filled by replay, read once.
import type { Uuid } from "../../base/index.ts";
import type { ConfigResourceKey } from "./configs-image.ts";
import type { TopicImage } from "./topics-image.ts";

export interface TopicChange {
  /** As it is in the image now. */
  readonly topic: TopicImage;
  readonly isNew: boolean;
  /** Partitions that are new or changed. */
  readonly partitions: Set<number>;
}

export class MetadataDelta {
  readonly changedTopics = new Map<Uuid, TopicChange>();
  /** As they were when they went; not those that came and went within this delta. */
  readonly removedTopics: TopicImage[] = [];
  readonly changedConfigs = new Set<ConfigResourceKey>();
  readonly changedBrokers = new Set<number>();
  readonly changedControllers = new Set<number>();
  readonly changedFeatures = new Set<string>();
  readonly changedScramUsers = new Set<string>();
  readonly changedQuotas = new Set<string>();
  readonly addedAcls = new Set<Uuid>();
  readonly removedAcls = new Set<Uuid>();
  readonly changedTokens = new Set<string>();
  producerIdsChanged = false;
  /** The image was replaced as a whole: at start, or from a snapshot. */
  readonly isWhole: boolean;

  constructor(isWhole = false) {
    this.isWhole = isWhole;
  }

  get isEmpty(): boolean {
    return (
      !this.isWhole &&
      this.changedTopics.size === 0 &&
      this.removedTopics.length === 0 &&
      this.changedConfigs.size === 0 &&
      this.changedBrokers.size === 0 &&
      this.changedControllers.size === 0 &&
      this.changedFeatures.size === 0 &&
      this.changedScramUsers.size === 0 &&
      this.changedQuotas.size === 0 &&
      this.addedAcls.size === 0 &&
      this.removedAcls.size === 0 &&
      this.changedTokens.size === 0 &&
      !this.producerIdsChanged
    );
  }

  topicCreated(topic: TopicImage): void {
    this.changedTopics.set(topic.id, { topic, isNew: true, partitions: new Set() });
  }

  partitionChanged(topic: TopicImage, index: number): void {
    let change = this.changedTopics.get(topic.id);
    if (change === undefined) {
      change = { topic, isNew: false, partitions: new Set() };
      this.changedTopics.set(topic.id, change);
    }
    change.partitions.add(index);
  }

  topicRemoved(topic: TopicImage): void {
    const change = this.changedTopics.get(topic.id);
    this.changedTopics.delete(topic.id);
    if (change?.isNew !== true) this.removedTopics.push(topic);
  }
}
