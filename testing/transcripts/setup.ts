// What the recorded clients did on connections that were not recorded: topics made and filled, settings changed.

import type { Uuid } from "@blumfeld/core/base";
import { RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import { makeBatch, WireConnection } from "../wire/index.ts";

const timeoutMs = 15_000;
/** Kafka answers a produce with this until the new leader is in place. */
const settlingCodes: ReadonlySet<number> = new Set([
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
]);
const settlingMsMax = 10_000;
const settlingPauseMs = 50;

function check(what: string, errorCode: number): void {
  if (errorCode !== ErrorCode.NONE) throw new Error(`${what}: ${errorOf(errorCode).name}`);
}

/** Asks until the answer is not one that passes by itself; throws for any other error. */
async function settled(what: string, ask: () => Promise<number>): Promise<void> {
  const untilMs = performance.now() + settlingMsMax;
  for (;;) {
    const code = await ask();
    if (!settlingCodes.has(code) || performance.now() > untilMs) return check(what, code);
    await new Promise((wake) => setTimeout(wake, settlingPauseMs));
  }
}

export class SetupClient {
  private readonly connection: WireConnection;

  private constructor(connection: WireConnection) {
    this.connection = connection;
  }

  static async open(port: number): Promise<SetupClient> {
    return new SetupClient(await WireConnection.open(port));
  }

  close(): void {
    this.connection.destroy();
  }

  /** The broker has producer ids to give. */
  async awaitProducerIds(): Promise<void> {
    const init = { transactionalId: null, transactionTimeoutMs: timeoutMs, producerId: -1, producerEpoch: -1 };
    await settled("a producer id", async () => (await this.connection.ask(ApiKey.InitProducerId, 5, init)).errorCode);
  }

  /** The coordinator of a transactional id is there and has loaded its shard. */
  async awaitTransactionCoordinator(transactionalId: string): Promise<void> {
    const { apiKeys } = await this.connection.ask(ApiKey.ApiVersions, 0, {});
    if (!apiKeys.some((each) => each.apiKey === ApiKey.DescribeTransactions)) return;
    const find = { key: "", keyType: 1, coordinatorKeys: [transactionalId] };
    await settled("the transaction coordinator", async () => {
      const found = await this.connection.ask(ApiKey.FindCoordinator, 6, find);
      if (found.coordinators[0]!.errorCode !== ErrorCode.NONE) return found.coordinators[0]!.errorCode;
      const described = await this.connection.ask(ApiKey.DescribeTransactions, 0, {
        transactionalIds: [transactionalId],
      });
      const { errorCode } = described.transactionStates[0]!;
      return errorCode === ErrorCode.TRANSACTIONAL_ID_NOT_FOUND ? ErrorCode.NONE : errorCode;
    });
  }

  /** The coordinator of a group is there and has loaded its shard. */
  async awaitGroupCoordinator(groupId: string): Promise<void> {
    const find = { key: "", keyType: 0, coordinatorKeys: [groupId] };
    await settled("the group coordinator", async () => {
      const found = await this.connection.ask(ApiKey.FindCoordinator, 6, find);
      if (found.coordinators[0]!.errorCode !== ErrorCode.NONE) return found.coordinators[0]!.errorCode;
      const groups = [{ groupId, memberId: null, memberEpoch: -1, topics: [] }];
      return (await this.connection.ask(ApiKey.OffsetFetch, 9, { groups })).groups[0]!.errorCode;
    });
  }

  /** Returns its id once the broker leads all partitions. */
  async createTopic(
    name: string,
    partitionCount: number,
    configs: Readonly<Record<string, string>> = {},
  ): Promise<Uuid> {
    const answer = await this.connection.ask(ApiKey.CreateTopics, 7, {
      topics: [
        {
          name,
          numPartitions: partitionCount,
          replicationFactor: 1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
      timeoutMs,
    });
    check(`creating ${name}`, answer.topics[0]!.errorCode);
    for (let index = 0; index < partitionCount; index++) await settled(name, () => this.leaderError(name, index));
    return answer.topics[0]!.topicId;
  }

  /** `count` records round the partitions, as an idempotent producer of its own sends them: k0 v0, k1 v1 … */
  async fill(topic: string, partitionCount: number, count: number): Promise<void> {
    await this.awaitProducerIds();
    const init = { transactionalId: null, transactionTimeoutMs: timeoutMs, producerId: -1, producerEpoch: -1 };
    const producer = await this.connection.ask(ApiKey.InitProducerId, 5, init);
    check("a producer id", producer.errorCode);
    const producerId = Number(producer.producerId);
    for (let partition = 0; partition < partitionCount; partition++) {
      for (let i = partition, sequence = 0; i < count; i += partitionCount, sequence++) {
        const how = { keys: [`k${i}`], timestampMs: 1_700_000_000_000 + i, producerId, producerEpoch: 0 };
        const batch = makeBatch([`v${i}`], { ...how, baseSequence: sequence });
        await settled(`${topic}-${partition}`, () => this.produceError(topic, partition, batch));
      }
    }
  }

  /** The same records in one batch for each partition, as a producer that gathers sends them. */
  async fillGathered(topic: string, partitionCount: number, count: number): Promise<void> {
    await this.awaitProducerIds();
    const init = { transactionalId: null, transactionTimeoutMs: timeoutMs, producerId: -1, producerEpoch: -1 };
    const producer = await this.connection.ask(ApiKey.InitProducerId, 5, init);
    check("a producer id", producer.errorCode);
    const producerId = Number(producer.producerId);
    for (let partition = 0; partition < partitionCount; partition++) {
      const builder = new RecordBatchBuilder();
      for (let i = partition; i < count; i += partitionCount)
        builder.append(1_700_000_000_000 + i, Buffer.from(`k${i}`), Buffer.from(`v${i}`));
      const batch = builder.build({ producerId, producerEpoch: 0, baseSequence: 0 });
      await settled(`${topic}-${partition}`, () => this.produceError(topic, partition, batch));
    }
  }

  async setConfig(resourceType: number, resourceName: string, name: string, value: string): Promise<void> {
    const answer = await this.connection.ask(ApiKey.IncrementalAlterConfigs, 1, {
      resources: [{ resourceType, resourceName, configs: [{ name, configOperation: 0, value }] }],
      validateOnly: false,
    });
    check(`setting ${name}`, answer.responses[0]!.errorCode);
  }

  private async produceError(topic: string, partition: number, batch: Buffer): Promise<number> {
    const answer = await this.connection.ask(ApiKey.Produce, 12, {
      acks: -1,
      timeoutMs,
      topicData: [{ name: topic, partitionData: [{ index: partition, records: batch }] }],
    });
    return answer.responses[0]!.partitionResponses[0]!.errorCode;
  }

  private async leaderError(topic: string, partition: number): Promise<number> {
    const answer = await this.connection.ask(ApiKey.ListOffsets, 7, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -1 }] }],
    });
    return answer.topics[0]!.partitions[0]!.errorCode;
  }
}
