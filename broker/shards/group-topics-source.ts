// The groups' view of topics over the metadata image.
import type { Uuid } from "@blumfeld/core/base";
import type { TopicImage } from "@blumfeld/core/controller";
import type { GroupTopic, GroupTopics } from "@blumfeld/core/coordinator";
import type { MetadataSource } from "../parts.ts";

export class GroupTopicsOfImage implements GroupTopics {
  private readonly metadata: MetadataSource;

  constructor(metadata: MetadataSource) {
    this.metadata = metadata;
  }

  get version(): number {
    return this.metadata.image.highestOffset;
  }

  byName(name: string): GroupTopic | null {
    return this.topicOf(this.metadata.image.topics.byName.get(name));
  }

  byId(id: Uuid): GroupTopic | null {
    return this.topicOf(this.metadata.image.topics.byId.get(id));
  }

  names(): Iterable<string> {
    return this.metadata.image.topics.byName.keys();
  }

  private topicOf(topic: TopicImage | undefined): GroupTopic | null {
    if (topic === undefined) return null;
    const { metadata } = this;
    return {
      name: topic.name,
      id: topic.id,
      partitionCount: topic.partitions.length,
      racksOf(partition) {
        const racks: string[] = [];
        for (const id of topic.partitions[partition]?.replicas ?? []) {
          const rack = metadata.image.brokers.get(id)?.rack;
          if (rack != null) racks.push(rack);
        }
        return racks;
      },
    };
  }
}
