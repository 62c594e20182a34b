// Transactions as today's clients make them (transactions v2): a batch goes out, the first write adds its partition, the end raises the
// producer's epoch.
import { RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey } from "@blumfeld/core/protocol";
import { type Caller, mustBeOk, openCallers, whenReady } from "./caller.ts";
import type { Target } from "./drive.ts";

export type TransactionLoad = {
  readonly topic: string;
  readonly partitionCount: number;
  readonly producerCount: number;
  readonly recordCount: number;
  readonly seconds: number;
};

// CONCURRENT_TRANSACTIONS: the markers of the last transaction are still on their way; producers try again.
const concurrentTransactions = 51;
const retryMs = 1;

let idNumber = 0;

class TransactionalProducer {
  readonly #caller: Caller;
  readonly #load: TransactionLoad;
  readonly #partition: number;
  readonly #id = `bench-transaction-${idNumber++}`;
  #producerId = -1;
  #producerEpoch = -1;
  #sequence = 0;

  constructor(caller: Caller, load: TransactionLoad, index: number) {
    this.#caller = caller;
    this.#load = load;
    this.#partition = index % load.partitionCount;
  }

  async init(): Promise<void> {
    await whenReady(async () => {
      const found = await this.#caller.call(ApiKey.FindCoordinator, 4, { keyType: 1, coordinatorKeys: [this.#id] });
      return { errorCode: found.coordinators[0]!.errorCode, value: null };
    });
    const answer = await whenReady(async () => {
      const value = await this.#caller.call(ApiKey.InitProducerId, 5, {
        transactionalId: this.#id,
        transactionTimeoutMs: 60_000,
      });
      return { errorCode: value.errorCode, value };
    });
    this.#take(answer);
  }

  #take(answer: { producerId: bigint; producerEpoch: number }): void {
    if (Number(answer.producerId) !== this.#producerId || answer.producerEpoch !== this.#producerEpoch)
      this.#sequence = 0;
    this.#producerId = Number(answer.producerId);
    this.#producerEpoch = answer.producerEpoch;
  }

  #batch(): Buffer {
    const builder = new RecordBatchBuilder();
    const timestampMs = Date.now();
    for (let i = 0; i < this.#load.recordCount; i++) builder.append(timestampMs, null, value);
    return builder.build({
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      baseSequence: this.#sequence,
      transactional: true,
    });
  }

  /** One committed transaction. */
  async transact(): Promise<void> {
    const records = this.#batch();
    for (;;) {
      const answer = await this.#caller.call(ApiKey.Produce, 12, {
        transactionalId: this.#id,
        acks: -1,
        timeoutMs: 30_000,
        topicData: [{ name: this.#load.topic, partitionData: [{ index: this.#partition, records }] }],
      });
      const { errorCode } = answer.responses[0]!.partitionResponses[0]!;
      if (errorCode === 0) break;
      if (errorCode !== concurrentTransactions) mustBeOk("Produce", errorCode);
      await new Promise((wake) => setTimeout(wake, retryMs));
    }
    this.#sequence += this.#load.recordCount;
    for (;;) {
      const answer = await this.#caller.call(ApiKey.EndTxn, 5, {
        transactionalId: this.#id,
        producerId: this.#producerId,
        producerEpoch: this.#producerEpoch,
        committed: true,
      });
      if (answer.errorCode === concurrentTransactions) {
        await new Promise((wake) => setTimeout(wake, retryMs));
        continue;
      }
      mustBeOk("EndTxn", answer.errorCode);
      this.#take(answer);
      return;
    }
  }
}

const value = Buffer.alloc(100, "t");

/** Committed transactions a second, each producer one after the other on a connection of its own. */
export async function transact(target: Target, load: TransactionLoad): Promise<number> {
  const callers = await openCallers(target, load.producerCount);
  try {
    const producers = callers.map((caller, index) => new TransactionalProducer(caller, load, index));
    await Promise.all(producers.map((producer) => producer.init()));
    let done = 0;
    const startedMs = performance.now();
    await Promise.all(
      producers.map(async (producer) => {
        while (performance.now() - startedMs < load.seconds * 1000) {
          await producer.transact();
          done++;
        }
      }),
    );
    return done / ((performance.now() - startedMs) / 1000);
  } finally {
    for (const caller of callers) caller.close();
  }
}
