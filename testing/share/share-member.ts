// A member of a share group made of plain requests: each of its fetches and acknowledgements is one request, and says what the test makes it say.
// Heartbeats only to join; keeps the session's epoch as a client does, unless it is told another.
import { randomUUID } from "node:crypto";
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { readBatches, WireConnection } from "../wire/index.ts";

/** As requests say it (KIP-932, KIP-1222). */
export const ackTypes = { gap: 0, accept: 1, release: 2, reject: 3, renew: 4 } as const;

/** The shortest lock that there is. */
export const shareLockMs = 1000;
/** Settings of a group whose locks run out soon. Others keep theirs for 30 s, so that a busy machine takes none away. */
export const shareLockSettings = { "share.record.lock.duration.ms": `${shareLockMs}` } as const;

/** Settings of a broker that keeps share groups in small. */
export const shareProperties = {
  "offsets.topic.num.partitions": 1,
  "share.coordinator.state.topic.num.partitions": 1,
  "share.coordinator.state.topic.replication.factor": 1,
  "share.coordinator.state.topic.min.isr": 1,
  "group.share.min.heartbeat.interval.ms": 100,
  "group.share.heartbeat.interval.ms": 100,
  "group.share.min.record.lock.duration.ms": shareLockMs,
} as const;

export interface Acquired {
  readonly offset: number;
  readonly deliveryCount: number;
}

export interface Ack {
  readonly first: number;
  readonly last: number;
  readonly types: readonly number[];
}

/** One type for all from `first` to `last`. */
export function ackOf(type: keyof typeof ackTypes, first: number, last = first): Ack {
  return { first, last, types: [ackTypes[type]] };
}

export interface ShareFetched {
  readonly errorCode: number;
  readonly partitionErrorCode: number;
  readonly acknowledgeErrorCode: number;
  readonly acquired: readonly Acquired[];
  /** Of the acquired records that the answer carries. */
  readonly values: readonly string[];
}

export interface ShareFetchHow {
  readonly acks?: readonly Ack[];
  readonly recordCountMax?: number;
  readonly waitMs?: number;
  readonly partition?: number;
  readonly epoch?: number;
}

export interface ShareAckHow {
  readonly epoch?: number;
  readonly version?: 1 | 2;
  readonly partition?: number;
}

const joinMsMax = 15_000;
const beatMs = 50;
const wire = { heartbeat: 1, fetch: 2, acknowledge: 2 } as const;

export class ShareMember {
  readonly connection: WireConnection;
  readonly groupId: string;
  readonly topic: string;
  readonly topicId: Uuid;
  memberId: string = randomUUID();
  memberEpoch = 0;
  /** What the next request of the session has to name. */
  sessionEpoch = 0;

  private constructor(connection: WireConnection, groupId: string, topic: string, topicId: Uuid) {
    this.connection = connection;
    this.groupId = groupId;
    this.topic = topic;
    this.topicId = topicId;
  }

  /** A member with a connection of its own, in no group yet. */
  static async open(port: number, groupId: string, topic: string): Promise<ShareMember> {
    const connection = await WireConnection.open(port);
    const { topics } = await connection.ask(ApiKey.Metadata, 13, {
      topics: [{ topicId: uuidZero, name: topic }],
      allowAutoTopicCreation: false,
      includeTopicAuthorizedOperations: false,
    });
    return new ShareMember(connection, groupId, topic, topics[0]!.topicId);
  }

  /** A member that has been assigned partitions, for which there is state then. */
  static async joined(port: number, groupId: string, topic: string): Promise<ShareMember> {
    const member = await ShareMember.open(port, groupId, topic);
    await member.join();
    return member;
  }

  async join(): Promise<readonly number[]> {
    const untilMs = performance.now() + joinMsMax;
    const find = { key: "", keyType: 0, coordinatorKeys: [this.groupId] };
    while (performance.now() < untilMs) {
      const found = await this.connection.ask(ApiKey.FindCoordinator, 6, find);
      if (found.coordinators[0]!.errorCode === ErrorCode.NONE) {
        const { partitions } = await this.beat();
        if (partitions !== null && partitions.length > 0) return partitions;
      }
      await new Promise((wake) => setTimeout(wake, beatMs));
    }
    throw new Error(`no partition of ${this.topic} was assigned within ${joinMsMax} ms`);
  }

  async beat(): Promise<{ readonly errorCode: number; readonly partitions: readonly number[] | null }> {
    const { groupId, memberEpoch, memberId, topic } = this;
    const answer = await this.connection.ask(ApiKey.ShareGroupHeartbeat, wire.heartbeat, {
      ...{ groupId, memberId, memberEpoch, subscribedTopicNames: memberEpoch === 0 ? [topic] : null },
    });
    if (answer.errorCode === ErrorCode.NONE) this.memberEpoch = answer.memberEpoch;
    const assigned = answer.assignment?.topicPartitions.flatMap(({ partitions }) => partitions) ?? null;
    return { errorCode: answer.errorCode, partitions: assigned };
  }

  /** Never more than `recordCountMax` records (KIP-1206), of one partition. */
  async fetch(how: ShareFetchHow = {}): Promise<ShareFetched> {
    const { acks = [], epoch = this.sessionEpoch, partition = 0, recordCountMax = 500, waitMs = 0 } = how;
    const { groupId, memberId, topicId } = this;
    const partitions = [{ partitionIndex: partition, acknowledgementBatches: acks.map(batchOf) }];
    const answer = await this.connection.ask(
      ApiKey.ShareFetch,
      wire.fetch,
      {
        ...{ groupId, memberId, shareSessionEpoch: epoch, maxWaitMs: waitMs, minBytes: 1, maxBytes: 1024 * 1024 },
        ...{ maxRecords: recordCountMax, batchSize: recordCountMax, shareAcquireMode: 1 },
        ...{ topics: [{ topicId, partitions }], forgottenTopicsData: [] },
      },
      waitMs + 10_000,
    );
    if (answer.errorCode === ErrorCode.NONE) this.sessionEpoch = epoch + 1;
    const data = answer.responses[0]?.partitions.find(({ partitionIndex }) => partitionIndex === partition);
    const acquired: Acquired[] = [];
    for (const { deliveryCount, firstOffset, lastOffset } of data?.acquiredRecords ?? [])
      for (let offset = Number(firstOffset); offset <= Number(lastOffset); offset++)
        acquired.push({ offset, deliveryCount });
    return {
      errorCode: answer.errorCode,
      partitionErrorCode: data?.errorCode ?? ErrorCode.NONE,
      acknowledgeErrorCode: data?.acknowledgeErrorCode ?? ErrorCode.NONE,
      acquired,
      values: valuesOf(data?.records ?? null, acquired),
    };
  }

  /** Fetches until at least one record comes. */
  async fetchSome(how: ShareFetchHow = {}): Promise<ShareFetched> {
    const untilMs = performance.now() + joinMsMax;
    let acks = how.acks ?? [];
    for (;;) {
      const fetched = await this.fetch({ waitMs: 500, ...how, acks });
      if (fetched.acquired.length > 0 || fetched.errorCode !== ErrorCode.NONE) return fetched;
      if (performance.now() > untilMs) throw new Error(`nothing of ${this.topic} came within ${joinMsMax} ms`);
      acks = [];
    }
  }

  /** The error of the whole request where it has one, else the partition's. */
  async acknowledge(acks: readonly Ack[], how: ShareAckHow = {}): Promise<number> {
    const { epoch = this.sessionEpoch, partition = 0, version = wire.acknowledge } = how;
    const { groupId, memberId, topicId } = this;
    const isRenewAck = version === 2 && acks.some(({ types }) => types.includes(ackTypes.renew));
    const partitions = [{ partitionIndex: partition, acknowledgementBatches: acks.map(batchOf) }];
    const answer = await this.connection.ask(ApiKey.ShareAcknowledge, version, {
      ...{ groupId, memberId, shareSessionEpoch: epoch, isRenewAck, topics: [{ topicId, partitions }] },
    });
    if (answer.errorCode !== ErrorCode.NONE) return answer.errorCode;
    this.sessionEpoch = epoch + 1;
    return answer.responses[0]!.partitions[0]!.errorCode;
  }

  close(): void {
    this.connection.destroy();
  }
}

function batchOf({ first, last, types }: Ack) {
  return { firstOffset: first, lastOffset: last, acknowledgeTypes: [...types] };
}

function valuesOf(records: Buffer | readonly Buffer[] | null, acquired: readonly Acquired[]): string[] {
  const offsets = new Set(acquired.map(({ offset }) => offset));
  return readBatches(records).flatMap(({ batch, records: list }) =>
    batch.isControl
      ? []
      : list.filter(({ offset }) => offsets.has(Number(offset))).map(({ value }) => value?.toString() ?? ""),
  );
}
