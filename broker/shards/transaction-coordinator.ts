// The coordinator of transactions on this broker: shards over `__transaction_state`, producer ids for them, the markers of what they decide, and the
// proof that a write belongs to a transaction.
import type { Timers } from "@blumfeld/core/base";
import {
  type AddPartitionsAsk,
  type Decision,
  type EndTransactionAsk,
  type InitProducerAsk,
  type ProducerAnswer,
  type Transaction,
  type TransactionAsk,
  type TransactionConfig,
  type TransactionEntry,
  TransactionShard,
  type TransactionTimer,
} from "@blumfeld/core/coordinator";
import { transactionStateTopic } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { BrokerParts } from "../parts.ts";
import { RequestError } from "../request-context.ts";
import type { GroupCoordinator } from "./group-coordinator.ts";
import { ShardHost } from "./shard-host.ts";
import { transactionConfigFrom } from "./transaction-config-source.ts";
import { MarkerSender } from "./transaction-marker-sender.ts";
import { TransactionMarkers } from "./transaction-markers.ts";
import { ProduceVerifier } from "./transaction-verifier.ts";

export type ProducerOutcome =
  | { readonly errorCode: number; readonly producer: null }
  | { readonly errorCode: 0; readonly producer: Extract<ProducerAnswer, { kind: "producer" }> };

export class TransactionCoordinator {
  readonly host: ShardHost<TransactionShard, TransactionEntry, TransactionTimer>;
  readonly config: TransactionConfig;
  readonly markers: TransactionMarkers;
  readonly verifier: ProduceVerifier;
  private readonly parts: BrokerParts;
  private readonly sender: MarkerSender;
  private readonly completions: Completions;

  constructor(parts: BrokerParts, groups: GroupCoordinator["host"]) {
    this.parts = parts;
    this.config = transactionConfigFrom(parts);
    this.markers = new TransactionMarkers(parts, groups);
    this.sender = new MarkerSender(parts, this.markers);
    this.completions = new Completions(parts.timers);
    const { config } = this;
    this.host = new ShardHost<TransactionShard, TransactionEntry, TransactionTimer>(
      {
        topic: transactionStateTopic,
        create: ({ undo, timers, partition }) =>
          new TransactionShard({
            undo,
            timers,
            config,
            sendMarkers: (transaction) => this.sendMarkers(partition, transaction),
          }),
      },
      parts,
    );
    this.verifier = new ProduceVerifier(parts, this);
  }

  async initProducer(ask: Omit<InitProducerAsk, "freshProducerId">): Promise<ProducerOutcome> {
    return this.withProducerId(
      ask.transactionalId,
      "InitProducerId",
      (freshProducerId) => (shard, nowMs) => shard.initProducer({ ...ask, freshProducerId }, nowMs),
    );
  }

  async endTransaction(ask: Omit<EndTransactionAsk, "freshProducerId">): Promise<ProducerOutcome> {
    return this.withProducerId(
      ask.transactionalId,
      "EndTxn",
      (freshProducerId) => (shard, nowMs) => shard.endTransaction({ ...ask, freshProducerId }, nowMs),
    );
  }

  /**
   * While the transaction before is being completed, whose end the producer knows already, this waits for it: at most as long as Kafka's brokers
   * try again for a client.
   */
  async addPartitions(ask: AddPartitionsAsk): Promise<number> {
    const { clock, cluster } = this.parts;
    const untilMs = clock.monotonicMs() + cluster.settings.get("add.partitions.to.txn.retry.backoff.max.ms");
    for (;;) {
      const { errorCode, answer } = await this.write(ask.transactionalId, "AddPartitionsToTxn", (shard, nowMs) =>
        shard.addPartitions(ask, nowMs),
      );
      const code = answer ?? errorCode;
      if (code !== ErrorCode.CONCURRENT_TRANSACTIONS || clock.monotonicMs() >= untilMs) return code;
      await this.completions.next(ask.transactionalId, cluster.settings.get("add.partitions.to.txn.retry.backoff.ms"));
    }
  }

  /** An error code, or a test of each partition. */
  verify(ask: TransactionAsk): number | ((topic: string, partition: number) => boolean) {
    const shard = this.host.shardOf(ask.transactionalId);
    if (shard === null) return ErrorCode.NOT_COORDINATOR;
    let verdict: ReturnType<TransactionShard["verify"]> = ErrorCode.NOT_COORDINATOR;
    shard.read(
      "AddPartitionsToTxn",
      (state) => state.verify(ask),
      (outcome) => {
        verdict = "answer" in outcome ? outcome.answer : outcome.errorCode;
      },
    );
    return verdict;
  }

  private write<Answer>(
    transactionalId: string,
    what: string,
    decide: (shard: TransactionShard, nowMs: number) => Decision<Answer, TransactionEntry>,
  ): Promise<{ errorCode: number; answer?: Answer }> {
    return new Promise((resolve) => {
      this.host.write(transactionalId, what, decide, (outcome) => {
        if ("answer" in outcome) resolve({ errorCode: 0, answer: outcome.answer });
        else resolve({ errorCode: clientErrorOfAppend(outcome.errorCode) });
      });
    });
  }

  /** Decides once more with a producer id where the shard says that it needs one. */
  private async withProducerId(
    transactionalId: string,
    what: string,
    decide: (
      freshProducerId: bigint | null,
    ) => (shard: TransactionShard, nowMs: number) => Decision<ProducerAnswer, TransactionEntry>,
  ): Promise<ProducerOutcome> {
    let freshProducerId: bigint | null = null;
    for (;;) {
      const { errorCode, answer } = await this.write(transactionalId, what, decide(freshProducerId));
      if (answer === undefined) return { errorCode, producer: null };
      if (answer.kind === "refused") return { errorCode: answer.errorCode, producer: null };
      if (answer.kind === "producer") return { errorCode: 0, producer: answer };
      try {
        freshProducerId = await this.parts.cluster.nextProducerId();
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        // Clients come back for this one; the controller may be changing.
        return { errorCode: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, producer: null };
      }
    }
  }

  private sendMarkers(partition: Partition, transaction: Transaction): void {
    const shard = this.host.shardAt(partition.index);
    if (shard === null) return;
    this.sender.send(transaction, partition.leaderEpoch, {
      isWanted: () => shard.currentState === "active",
      complete: (done) =>
        shard.write(
          "WriteTxnMarkers",
          (state, nowMs) => state.complete(transaction, nowMs),
          ({ errorCode }) => {
            done(errorCode);
            if (errorCode === ErrorCode.NONE) this.completions.tell(transaction.transactionalId);
          },
        ),
    });
  }
}

/** Requests that wait for the completion of a transactional id's transaction, each for a short time. */
class Completions {
  private readonly timers: Timers;
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(timers: Timers) {
    this.timers = timers;
  }

  /** Resolves at the next completion, or after `waitMs`. */
  next(transactionalId: string, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.waiting.get(transactionalId) ?? new Set();
      this.waiting.set(transactionalId, waiting);
      const finish = (): void => {
        timer.cancel();
        waiting.delete(finish);
        if (waiting.size === 0) this.waiting.delete(transactionalId);
        resolve();
      };
      const timer = this.timers.after(waitMs, finish);
      waiting.add(finish);
    });
  }

  tell(transactionalId: string): void {
    for (const finish of [...(this.waiting.get(transactionalId) ?? [])]) finish();
  }
}

/** What transactions' clients hear where the log did not take a record. */
function clientErrorOfAppend(errorCode: number): number {
  switch (errorCode) {
    case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
    case ErrorCode.NOT_ENOUGH_REPLICAS:
    case ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case ErrorCode.REQUEST_TIMED_OUT:
      return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    case ErrorCode.NOT_LEADER_OR_FOLLOWER:
    case ErrorCode.KAFKA_STORAGE_ERROR:
      return ErrorCode.NOT_COORDINATOR;
    case ErrorCode.MESSAGE_TOO_LARGE:
    case ErrorCode.RECORD_LIST_TOO_LARGE:
      return ErrorCode.UNKNOWN_SERVER_ERROR;
    default:
      return errorCode;
  }
}
