// The producer: what a program calls. Batching, retries and order are the accumulator's and the sender's.
//
//   const producer = new Producer({ bootstrapServers: "localhost:9092", compression: "zstd" });
//   const { partition, offset } = await producer.send({ topic: "orders", key: "42", value: JSON.stringify(order) });
//   await producer.send(manyRecords);                 // one promise, results in the records' order
//   await producer.close();                           // or: await using producer = new Producer(…)
//
// Records are read before `send` returns, except those that wait for room or metadata: do not change a record's bytes before its promise
// settles.
import { ClusterClient } from "../connection/cluster-client.ts";
import type { TopicInfo } from "../connection/metadata.ts";
import { clientError, type KafkaError } from "../errors.ts";
import type { ProducerRecord, RecordMetadata } from "../records.ts";
import { ListCall, SingleCall } from "./calls.ts";
import { type ProducerOptions, resolveProducerOptions } from "./options.ts";
import { Sender } from "./sender.ts";

export interface CloseOptions {
  /** How long to wait for records that are under way; then they fail with CLIENT_CLOSED. Default: as long as it takes. */
  readonly timeoutMs?: number;
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
    const { accumulator } = this.#sender;
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

  /** Sends what is left, then closes every connection and timer. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number | undefined): Promise<void> {
    const flushed = this.#sender.flush();
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
