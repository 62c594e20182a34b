// The way to dead-letter topics, from this broker: letters for a partition go into its log where it is led here, else to the broker that leads it. A
// topic that is missing is asked for. Tries once; whoever asks tries again.
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { ownOrigin } from "../metadata/controller-requests.ts";
import type { BrokerParts } from "../parts.ts";
import { addressOfPartition, shardLane, shardRequestMsMax } from "../shards/shard-address.ts";

export const deadLetterTopicMsMax = 30_000;
/** Batches that are read and unpacked for their letters at a time, of all share partitions. */
export const deadLetterReadCountMax = 4;

type Parts = Pick<
  BrokerParts,
  "clock" | "config" | "controllerChannel" | "logger" | "metadata" | "partitions" | "peers" | "replication"
>;

export class DeadLetterTopics {
  private readonly parts: Parts;
  private readonly underWay = new Set<string>();
  private readCount = 0;
  private readonly waitingReads: (() => void)[] = [];

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Resolves once there is an answer; what came of it shows in the metadata. */
  async create(name: string): Promise<void> {
    if (this.underWay.has(name)) return;
    this.underWay.add(name);
    const { controllerChannel, logger } = this.parts;
    const config = { name: "errors.deadletterqueue.group.enable", value: "true" };
    const topic = { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [config] };
    const request = { topics: [topic], timeoutMs: deadLetterTopicMsMax, validateOnly: false };
    try {
      const answer = await controllerChannel.request(ApiKey.CreateTopics, request, ownOrigin(deadLetterTopicMsMax));
      for (const { errorCode, errorMessage } of answer.topics) {
        if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) continue;
        logger.warn({ topic: name, errorCode }, `a dead-letter topic could not be made: ${errorMessage}`);
      }
    } catch (error) {
      logger.warn({ topic: name, err: error }, "a dead-letter topic could not be made");
    } finally {
      this.underWay.delete(name);
    }
  }

  /** So that many share partitions with letters at once do not hold all their records at once. */
  async inTurn<Found>(read: () => Promise<Found>): Promise<Found> {
    if (this.readCount >= deadLetterReadCountMax) await new Promise<void>((go) => this.waitingReads.push(go));
    else this.readCount++;
    try {
      return await read();
    } finally {
      const next = this.waitingReads.shift();
      if (next === undefined) this.readCount--;
      else next();
    }
  }

  /** One batch, into the partition that stands for `sourcePartition`. An error code once it is committed, or may not have been. */
  write(topic: string, sourcePartition: number, batch: Buffer): Promise<number> {
    const count = this.parts.metadata.image.topics.get(topic)?.partitions.length ?? 0;
    if (count === 0) return Promise.resolve(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    const index = sourcePartition % count;
    const at = addressOfPartition(this.parts, topic, index);
    return at === "here" ? this.append(topic, index, batch) : this.produce(at, topic, index, batch);
  }

  private async append(topic: string, index: number, batch: Buffer): Promise<number> {
    const partition = this.parts.partitions.get(topic, index);
    if (partition === null) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    const problem = partition.leaderProblem(-1);
    if (problem !== ErrorCode.NONE) return problem;
    if (partition.isBelowMinIsr) return ErrorCode.NOT_ENOUGH_REPLICAS;
    const outcome = partition.append(batch, { origin: "client", nowMs: this.parts.clock.wallMs() });
    if (outcome.kind === "refused") return outcome.errorCode;
    return new Promise((onAppendDone) =>
      partition.wait({ requiredOffset: outcome.lastOffset + 1, needsCommit: true, onAppendDone }),
    );
  }

  private async produce(
    { address, peers }: Exclude<ReturnType<typeof addressOfPartition>, "here">,
    topic: string,
    index: number,
    records: Buffer,
  ): Promise<number> {
    const topicId = this.parts.metadata.image.topics.get(topic)!.id;
    const partitionData = [{ index, records }];
    try {
      const answer = await peers.request(
        address,
        ApiKey.Produce,
        {
          ...{ transactionalId: null, acks: -1, timeoutMs: shardRequestMsMax },
          topicData: [{ name: topic, topicId, partitionData }],
        },
        { timeoutMs: shardRequestMsMax, lane: shardLane },
      );
      const row = answer.responses[0]?.partitionResponses.find((one) => one.index === index);
      return row?.errorCode ?? ErrorCode.NOT_LEADER_OR_FOLLOWER;
    } catch {
      // The other broker is gone, or too busy.
      return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    }
  }
}
