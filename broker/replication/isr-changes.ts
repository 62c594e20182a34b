// What leaders of this broker ask of the controller: other in-sync replicas. One request at a time for all partitions, as Kafka's brokers send them;
// what comes up meanwhile goes with the next one. A wish that its leader has given up is not sent.
import type { Logger, Timers, Uuid } from "@blumfeld/core/base";
import { leaderRecovered } from "@blumfeld/core/controller";
import { type AlterPartitionResponseInit, ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { IsrWish } from "@blumfeld/core/replication";
import type { Partition } from "../partition/partition.ts";
import type { ControllerChannel } from "../parts.ts";
import { anonymousPrincipal } from "../security-seam.ts";

/** After an answer that may be another one soon, or none. */
export const isrRetryMs = 50;
export const isrRequestMsMax = 30_000;
/** Partitions of one request; a broker that leads more asks several times. */
export const isrRequestPartitionsMax = 5_000;

export interface IsrChangesParts {
  readonly nodeId: number;
  readonly brokerEpoch: () => number;
  readonly channel: ControllerChannel;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class IsrChanges {
  expandCount = 0;
  shrinkCount = 0;
  failedCount = 0;
  private readonly parts: IsrChangesParts;
  private wishes = new Map<Partition, IsrWish>();
  private isQueued = false;
  private isAsking = false;
  private isClosed = false;

  constructor(parts: IsrChangesParts) {
    this.parts = parts;
  }

  /** The partition hears the answer through `onIsrAnswer`. */
  ask(partition: Partition, wish: IsrWish): void {
    this.wishes.set(partition, wish);
    if (this.isQueued || this.isAsking) return;
    this.isQueued = true;
    this.parts.timers.atTurnEnd(() => {
      this.isQueued = false;
      void this.send();
    });
  }

  close(): void {
    this.isClosed = true;
    this.wishes.clear();
  }

  private take(): Map<Partition, IsrWish> {
    const taken = new Map<Partition, IsrWish>();
    for (const [partition, wish] of this.wishes) {
      if (taken.size === isrRequestPartitionsMax) break;
      this.wishes.delete(partition);
      if (partition.leaderReplicas?.isPending(wish) === true) taken.set(partition, wish);
    }
    return taken;
  }

  private async send(): Promise<void> {
    if (this.isAsking || this.isClosed) return;
    const asked = this.take();
    if (asked.size === 0) return;
    this.isAsking = true;
    const isSettled = await this.request(asked);
    this.isAsking = false;
    if (this.isClosed || this.wishes.size === 0) return;
    if (isSettled) void this.send();
    else this.parts.timers.after(isrRetryMs, () => void this.send());
  }

  /** False where something has to be asked again, after a while. */
  private async request(asked: ReadonlyMap<Partition, IsrWish>): Promise<boolean> {
    const { brokerEpoch, channel, logger, nodeId } = this.parts;
    // The node asks for itself; its channel knows as whom.
    const origin = { principal: anonymousPrincipal, clientAddress: "", listenerName: "", clientId: null };
    const request = { brokerId: nodeId, brokerEpoch: BigInt(brokerEpoch()), topics: topicsOf(asked) };
    let answer: AlterPartitionResponseInit;
    try {
      answer = await channel.request(ApiKey.AlterPartition, request, { ...origin, timeoutMs: isrRequestMsMax });
    } catch (error) {
      logger.debug({ error: String(error) }, "no controller took the in-sync replicas yet");
      return this.again(asked);
    }
    const { errorCode = ErrorCode.NONE } = answer;
    if (errorCode !== ErrorCode.NONE) {
      this.failedCount++;
      logger.warn(
        { error: errorOf(errorCode).name },
        "the controller refused a change of in-sync replicas; asked again",
      );
      return this.again(asked);
    }
    return this.answer(asked, answer);
  }

  private again(asked: ReadonlyMap<Partition, IsrWish>): false {
    for (const [partition, wish] of asked) if (!this.wishes.has(partition)) this.wishes.set(partition, wish);
    return false;
  }

  private answer(asked: ReadonlyMap<Partition, IsrWish>, answer: AlterPartitionResponseInit): boolean {
    const byId = new Map<Uuid | undefined, Map<number, PartitionAnswer>>();
    for (const { partitions, topicId } of answer.topics)
      byId.set(topicId, new Map(partitions.map((one) => [one.partitionIndex, one])));
    let isSettled = true;
    for (const [partition, wish] of asked) {
      const answered = byId.get(partition.topicId)?.get(partition.index);
      const verdict = partition.onIsrAnswer(wish, {
        errorCode: answered?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR,
        leaderEpoch: answered?.leaderEpoch ?? -1,
        partitionEpoch: answered?.partitionEpoch ?? -1,
        isr: answered?.isr ?? [],
      });
      this.note(partition, wish, answered?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR);
      if (verdict !== "again") continue;
      isSettled = false;
      if (!this.wishes.has(partition)) this.wishes.set(partition, wish);
    }
    return isSettled;
  }

  private note(partition: Partition, wish: IsrWish, errorCode: number): void {
    const { logger } = this.parts;
    const fields = { partition: partition.name, isr: wish.isr.map(({ brokerId }) => brokerId) };
    if (errorCode !== ErrorCode.NONE) {
      this.failedCount++;
      logger.info({ ...fields, error: errorOf(errorCode).name }, `the in-sync replicas did not ${wish.kind}`);
      return;
    }
    if (wish.kind === "expand") this.expandCount++;
    else this.shrinkCount++;
    const { partitionEpoch } = partition;
    logger.info({ ...fields, partitionEpoch }, `in-sync replicas ${wish.kind === "expand" ? "expanded" : "shrunk"}`);
  }
}

type PartitionAnswer = AlterPartitionResponseInit["topics"][number]["partitions"][number];

function topicsOf(asked: ReadonlyMap<Partition, IsrWish>) {
  const byId = new Map<Uuid, ReturnType<typeof partitionOf>[]>();
  for (const [partition, wish] of asked) {
    const partitions = byId.get(partition.topicId) ?? [];
    byId.set(partition.topicId, partitions);
    partitions.push(partitionOf(partition, wish));
  }
  return Array.from(byId, ([topicId, partitions]) => ({ topicId, partitions }));
}

function partitionOf(partition: Partition, wish: IsrWish) {
  return {
    partitionIndex: partition.index,
    leaderEpoch: wish.leaderEpoch,
    partitionEpoch: wish.partitionEpoch,
    // A leader elected uncleanly (KIP-704) has nothing to recover here: the first change of its in-sync replicas says that it is done.
    leaderRecoveryState: leaderRecovered,
    newIsr: [],
    newIsrWithEpochs: wish.isr.map(({ brokerEpoch, brokerId }) => ({ brokerId, brokerEpoch: BigInt(brokerEpoch) })),
  };
}
