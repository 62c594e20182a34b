// Topics that come into being because somebody needs them: the coordinators' own, and those that a Metadata request names while
// auto.create.topics.enable is on. One request to the controller for a topic at a time.
import {
  consumerOffsetsTopic,
  shareGroupStateTopic,
  topicNameProblem,
  transactionStateTopic,
} from "@blumfeld/core/model";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { ApiKey, ErrorCode, type RequestOf } from "@blumfeld/core/protocol";
import type { ControllerChannel } from "../parts.ts";
import type { ControllerOrigin } from "./controller-requests.ts";

type NewTopic = RequestOf<typeof ApiKey.CreateTopics>["topics"][number];

/** How the topic would be made: a coordinator's by its own settings, any other by the defaults. */
export function automaticTopic(settings: BrokerSettings, name: string): NewTopic {
  const topic = (numPartitions: number, replicationFactor: number, configs: Record<string, string>): NewTopic => ({
    ...{ name, numPartitions, replicationFactor, assignments: [] },
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  });
  switch (name) {
    case consumerOffsetsTopic:
      return topic(settings.get("offsets.topic.num.partitions"), settings.get("offsets.topic.replication.factor"), {
        "compression.type": "producer",
        "cleanup.policy": "compact",
        "segment.bytes": String(settings.get("offsets.topic.segment.bytes")),
      });
    case transactionStateTopic:
      return topic(
        settings.get("transaction.state.log.num.partitions"),
        settings.get("transaction.state.log.replication.factor"),
        {
          "compression.type": "uncompressed",
          "cleanup.policy": "compact",
          "min.insync.replicas": String(settings.get("transaction.state.log.min.isr")),
          "segment.bytes": String(settings.get("transaction.state.log.segment.bytes")),
          "unclean.leader.election.enable": "false",
        },
      );
    case shareGroupStateTopic:
      return topic(
        settings.get("share.coordinator.state.topic.num.partitions"),
        settings.get("share.coordinator.state.topic.replication.factor"),
        {
          "compression.type": "producer",
          "cleanup.policy": "delete",
          "min.insync.replicas": String(settings.get("share.coordinator.state.topic.min.isr")),
          "segment.bytes": String(settings.get("share.coordinator.state.topic.segment.bytes")),
          "retention.ms": "-1",
        },
      );
    default:
      return topic(-1, -1, {});
  }
}

export class TopicCreator {
  private readonly settings: BrokerSettings;
  private readonly channel: ControllerChannel;
  private readonly underWay = new Set<string>();

  constructor(settings: BrokerSettings, channel: ControllerChannel) {
    this.settings = settings;
    this.channel = channel;
  }

  /**
   * Asks for the topics and tells how they stand meanwhile: not there yet, or impossible. The request is made as `origin`, so that the
   * controller checks that they may create them.
   */
  create(names: readonly string[], origin: ControllerOrigin): ReadonlyMap<string, ErrorCode> {
    const outcomes = new Map<string, ErrorCode>();
    const topics: NewTopic[] = [];
    for (const name of names) {
      if (topicNameProblem(name) !== null) {
        outcomes.set(name, ErrorCode.INVALID_TOPIC_EXCEPTION);
        continue;
      }
      outcomes.set(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      if (this.underWay.has(name)) continue;
      this.underWay.add(name);
      topics.push(automaticTopic(this.settings, name));
    }
    if (topics.length > 0) void this.request(topics, origin);
    return outcomes;
  }

  private async request(topics: NewTopic[], origin: ControllerOrigin): Promise<void> {
    try {
      const request = { topics, timeoutMs: origin.timeoutMs, validateOnly: false };
      await this.channel.request(ApiKey.CreateTopics, request, origin);
    } catch {
      // Whoever asked asks again; the controller has logged what is its own.
    } finally {
      for (const { name } of topics) this.underWay.delete(name);
    }
  }
}
