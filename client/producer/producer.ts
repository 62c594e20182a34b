// The producer: what a program calls. Batching, retries and order are the accumulator's and the sender's.
//
//   const producer = new Producer({ bootstrapServers: "localhost:9092", compression: "zstd" });
//   const { partition, offset } = await producer.send({ topic: "orders", key: "42", value: JSON.stringify(order) });
//   await producer.send(manyRecords);                 // one promise, results in the records' order
//   await producer.close();                           // or: await using producer = new Producer(…)
//
//   const payments = new Producer({ bootstrapServers, transactionalId: "payments-1" });
//   await payments.transaction(async (tx) => {
//     tx.send({ topic: "paid", key, value });
//     await tx.sendOffsets(consumer.positions(), consumer.groupMetadata());
//   });                                               // all of it or nothing
//
// Records are read before `send` returns, except those that wait for room or metadata: do not change a record's bytes before its promise
// settles.
import { ClusterClient } from "../connection/cluster-client.ts";
import type { TopicInfo } from "../connection/metadata.ts";
import { clientError, KafkaError } from "../errors.ts";
import type { ProducerRecord, RecordMetadata } from "../records.ts";
import { ListCall, SingleCall } from "./calls.ts";
import { type ProducerOptions, resolveProducerOptions } from "./options.ts";
import { Sender } from "./sender.ts";
import { type PreparedState, parsePreparedState, preparedStateText, Transaction } from "./transaction.ts";
import { TransactionError } from "./transaction-error.ts";
import type { TransactionManager } from "./transaction-manager.ts";

export interface CloseOptions {
  /** How long to wait for records that are under way; then they fail with CLIENT_CLOSED. Default: as long as it takes. */
  readonly timeoutMs?: number;
}

export interface InitTransactionsOptions {
  /** Leave an open transaction of this id as it is: it was prepared, and `completeTransaction` is to decide it. Needs `twoPhaseCommit`. */
  readonly keepPrepared?: boolean;
}

export class Producer implements AsyncDisposable {
  readonly #cluster: ClusterClient;
  readonly #sender: Sender;
  #closing: Promise<void> | null = null;

  /** Connects at the first record. Throws KafkaError CLIENT_INVALID_OPTION. */
  constructor(options: ProducerOptions) {
    const resolved = resolveProducerOptions(options);
    this.#cluster = new ClusterClient(options, {
      allowAutoTopicCreation: true,
      topicIdleMsMax: resolved.metadataIdleMsMax,
    });
    this.#sender = new Sender(this.#cluster, resolved);
  }

  /** Resolves when the record is confirmed as `acks` asks; rejects with a KafkaError. */
  send(record: ProducerRecord): Promise<RecordMetadata>;
  /** Resolves with the results in the records' order when all are confirmed; rejects with a SendListError that has each one's result. */
  send(records: readonly ProducerRecord[]): Promise<RecordMetadata[]>;
  send(input: ProducerRecord | readonly ProducerRecord[]): Promise<RecordMetadata | RecordMetadata[]> {
    if (this.#closing !== null) return Promise.reject(closedError());
    const { accumulator, transactions } = this.#sender;
    if (transactions !== null) {
      const problem = transactions.sendProblem;
      if (problem !== null) return Promise.reject(problem);
    }
    if (!isList(input)) {
      return new Promise<RecordMetadata>((resolve, reject) => {
        accumulator.addSingle(input, new SingleCall(resolve, reject));
      });
    }
    if (input.length === 0) return Promise.resolve([]);
    return new Promise<RecordMetadata[]>((resolve, reject) => {
      accumulator.add(input, new ListCall(input.length, resolve, reject));
    });
  }

  /** Resolves when every record given before is confirmed or refused; a refusal rejects its own `send`, never this. */
  flush(): Promise<void> {
    return this.#sender.flush();
  }

  /**
   * Takes over the transactional id: producers that had it are fenced, what they left open is aborted. `transaction` does it by itself; called
   * first it tells early what is wrong. Resolves with what is prepared and waits for `completeTransaction`; null where nothing is.
   */
  async initTransactions(options: InitTransactionsOptions = {}): Promise<PreparedState | null> {
    const prepared = await this.#transactions().initialize(options.keepPrepared ?? false);
    return prepared === null ? null : preparedStateText(prepared);
  }

  /** Opens a transaction. Records that are sent from now on, by it or by `send`, are its own. */
  beginTransaction(): Transaction {
    const transactions = this.#transactions();
    transactions.begin();
    return new Transaction(this, transactions);
  }

  /**
   * Runs `work` in a transaction: committed when it resolves, aborted when it rejects or when anything of it failed, which this then rejects
   * with. A TransactionError with the fate "fatal" says that this producer is over; after any other the same work may be tried again.
   */
  async transaction<Result>(work: (tx: Transaction) => Promise<Result> | Result): Promise<Result> {
    const transactions = this.#transactions();
    if (transactions.isNew) await transactions.initialize(false);
    else await transactions.ended();
    const tx = this.beginTransaction();
    try {
      const result = await work(tx);
      if (tx.isOpen) await tx.commit();
      return result;
    } catch (error) {
      // A record's own refusal says less than what it means to the transaction.
      const failure = error instanceof KafkaError ? (transactions.failure ?? error) : error;
      const isFatal = failure instanceof TransactionError && failure.fate === "fatal";
      if (!isFatal && tx.isOpen) await tx.abort();
      throw failure;
    }
  }

  /**
   * Decides what is prepared: commits it where it is `state`, aborts it where it is another. For those that keep `state` with their own data:
   * what they have written there is committed here. "none": nothing was open, it had been decided before.
   */
  async completeTransaction(state: PreparedState | null): Promise<"committed" | "aborted" | "none"> {
    const transactions = this.#transactions();
    const { prepared } = transactions;
    if (prepared === null) return "none";
    const wanted = state === null ? null : parsePreparedState(state);
    const isCommit = wanted?.producerId === prepared.producerId && wanted.producerEpoch === prepared.producerEpoch;
    await transactions.end(isCommit);
    return isCommit ? "committed" : "aborted";
  }

  /** The partitions of a topic, as a partitioner sees them. Waits for metadata. */
  async partitionsFor(topic: string): Promise<TopicInfo["partitions"]> {
    const { clock, options } = this.#cluster.context;
    const info = await this.#cluster.metadata.waitForTopic(topic, clock.monotonicMs() + options.apiTimeoutMs);
    return info.partitions;
  }

  /** Bytes of the buffer taken by records that are not yet confirmed. */
  get bufferedBytes(): number {
    return this.#sender.accumulator.bufferedBytes;
  }

  /** Sends what is left, aborts an open transaction, then closes every connection and timer. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #transactions(): TransactionManager {
    if (this.#closing !== null) throw closedError();
    const { transactions } = this.#sender;
    if (transactions === null)
      throw clientError("CLIENT_INVALID_OPTION", "transactions need the option transactionalId");
    return transactions;
  }

  async #close(timeoutMs: number | undefined): Promise<void> {
    const { transactions } = this.#sender;
    // As Kafka's client: what nobody committed is aborted, and what is being committed is.
    const flushed = transactions === null ? this.#sender.flush() : transactions.finish();
    try {
      if (timeoutMs === undefined) await flushed;
      else await this.#cluster.context.deadlines.within(flushed, timeoutMs, closedError);
    } catch {
      // What did not get out in time is told to each record's own promise below.
    }
    this.#sender.close(closedError());
    this.#cluster.close();
  }
}

function isList(input: ProducerRecord | readonly ProducerRecord[]): input is readonly ProducerRecord[] {
  return Array.isArray(input);
}

function closedError(): KafkaError {
  return clientError("CLIENT_CLOSED", "the producer is closed");
}
