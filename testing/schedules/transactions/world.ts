// The brokers of the schedule: one coordinator's shard, data partitions with their logs, and what goes between them as the broker does it: a write is
// checked by (v1) or added at (v2) the coordinator unless the transaction goes on in the partition already; a decided transaction's markers are
// written one by one, again after a reload, and late ones of an earlier coordinator come too.
import { strict as assert } from "node:assert";
import type { ProducerAnswer, Transaction } from "@blumfeld/core/coordinator";
import { isEpochExhausted, TestTransactions } from "@blumfeld/core/coordinator/transaction/fixture";
import { ErrorCode } from "@blumfeld/core/protocol";
import { type BatchToWrite, type MarkerToWrite, WorldPartition } from "./partition.ts";
import type { WorldProducer } from "./producer.ts";
import type { WorldTransaction } from "./world-transaction.ts";

export const topic = "t";
export const partitionCount = 3;
export const transactionTimeoutMs = 60_000;
const idExpirationMs = 600_000;
/** The last epoch that a producer gets. */
const epochLast = 32_766;

interface Identity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}
type Producer = Extract<ProducerAnswer, { kind: "producer" }>;
type Coded = { readonly errorCode: number };

/** Markers of one decided transaction that are still to be written. */
interface Sending {
  readonly transaction: Transaction;
  readonly of: WorldTransaction | null;
  readonly left: number[];
}

export class TransactionWorld {
  test = TestTransactions.empty({
    isTwoPhaseCommitEnabled: true,
    idExpirationMs,
    idExpirationIntervalMs: idExpirationMs / 2,
  });
  readonly partitions = Array.from({ length: partitionCount }, () => new WorldPartition());
  /** Requests on their way, whose senders wait no more. */
  readonly late: (() => void)[] = [];
  readonly transactions = new Set<WorldTransaction>();
  private readonly producers: WorldProducer[] = [];
  /** The open transaction of each id. */
  private readonly open = new Map<string, WorldTransaction>();
  /** Whose end the markers of a producer id tell. */
  private readonly ending = new Map<bigint, WorldTransaction | null>();
  private sending: Sending[] = [];
  private coordinatorEpoch = 0;
  private refuseNext = false;

  // --- the coordinator --------------------------------------------------------------------------

  private state(id: string): Transaction | undefined {
    return this.test.shard.transaction(id);
  }

  openOf(id: string): WorldTransaction | null {
    return this.open.get(id) ?? null;
  }

  isKept(id: string, transaction: WorldTransaction): boolean {
    return this.open.get(id) === transaction && (this.state(id)?.nextProducerEpoch ?? -1) >= 0;
  }

  /** Runs one request, and draws what it decided from the states before and after. `by`: whose transaction opens. */
  private decide<Answer>(id: string, run: () => Answer, by: WorldTransaction | null, mayCommit: boolean): Answer {
    const before = this.state(id);
    this.test.refusing = this.refuseNext ? ErrorCode.NOT_ENOUGH_REPLICAS : null;
    const wasRefusing = this.refuseNext;
    this.refuseNext = false;
    const answer = run();
    this.test.refusing = null;
    if (wasRefusing) assert.equal(this.state(id), before, "a refused append leaves nothing");
    this.observe(id, before, by, mayCommit);
    this.takeSending();
    return answer;
  }

  private observe(id: string, before: Transaction | undefined, by: WorldTransaction | null, mayCommit: boolean): void {
    const after = this.state(id);
    if (after?.state === "Ongoing" && before?.state !== "Ongoing") {
      assert.ok(by !== null, "a transaction is opened by a producer");
      assert.equal(by.decision, null, "what was decided does not open again");
      this.open.set(id, by);
      this.transactions.add(by);
    }
    const isPrepared = after?.state === "PrepareCommit" || after?.state === "PrepareAbort";
    if (isPrepared && before?.state !== after.state) {
      const decided = this.open.get(id) ?? null;
      const isCommit = after.state === "PrepareCommit";
      if (isCommit) {
        assert.ok(mayCommit && decided !== null, "only a producer's request commits");
        assert.ok(decided.isCommitAsked, "only what a producer asked to be committed is");
      }
      if (decided !== null) {
        assert.equal(decided.decision, null, "a transaction is decided once");
        decided.decision = isCommit ? "commit" : "abort";
      }
      this.open.delete(id);
      this.ending.set(after.producerId, decided);
    }
  }

  private takeSending(): void {
    for (const transaction of this.test.sending.splice(0)) {
      const of = this.ending.get(transaction.producerId) ?? null;
      this.sending.push({ transaction, of, left: [...(transaction.partitions.get(topic) ?? [])] });
    }
  }

  initProducer(by: WorldProducer, expected: Identity | null, keeps: boolean): Producer | Coded | null {
    const { isTwoPhase, transactionalId } = by;
    const ask = { transactionalId, timeoutMs: transactionTimeoutMs, expected };
    const more = { isTwoPhaseCommit: isTwoPhase, keepsPrepared: keeps };
    const answer = this.decide(
      transactionalId,
      () =>
        this.test.decideWithId(
          (freshProducerId) => (shard, nowMs) => shard.initProducer({ ...ask, ...more, freshProducerId }, nowMs),
        ),
      null,
      false,
    );
    if (!("kind" in answer)) return null;
    if (answer.kind !== "producer") return answer as Coded;
    for (const other of this.producers)
      if (other.transactionalId === transactionalId && other !== by) other.isFollowed = true;
    if (!this.producers.includes(by)) this.producers.push(by);
    assert.ok(!by.isFollowed, "a producer that was followed is not let in again");
    if (answer.kept === undefined)
      assert.equal(this.open.get(transactionalId), undefined, "nobody else's is left open");
    return answer;
  }

  addPartition(by: WorldProducer, identity: Identity, transaction: WorldTransaction, partition: number): number {
    const { transactionalId, version } = by;
    const partitions = new Map([[topic, [partition]]]);
    const ask = { transactionalId, ...identity, partitions, clientVersion: version };
    const code = this.decide(
      transactionalId,
      () => this.test.decide((shard, nowMs) => shard.addPartitions(ask, nowMs)),
      transaction,
      false,
    );
    if (typeof code !== "number") return code.errorCode;
    if (code === ErrorCode.NONE) assert.ok(!by.isFollowed, "nothing is added for one that was followed");
    return code;
  }

  endTransaction(by: WorldProducer, identity: Identity, isCommit: boolean): Producer | Coded | null {
    const { transactionalId, version } = by;
    const ask = { transactionalId, ...identity, isCommit, clientVersion: version };
    const before = this.state(transactionalId);
    const answer = this.decide(
      transactionalId,
      () =>
        this.test.decideWithId(
          (freshProducerId) => (shard, nowMs) => shard.endTransaction({ ...ask, freshProducerId }, nowMs),
        ),
      null,
      true,
    );
    if (!("kind" in answer)) return null;
    const hasDecided = this.state(transactionalId)?.state !== before?.state;
    if (hasDecided) assert.ok(!by.isFollowed, "one that was followed decides nothing");
    return answer.kind === "producer" ? answer : (answer as Coded);
  }

  // --- a partition's leader ---------------------------------------------------------------------

  produce(by: WorldProducer, index: number, batch: BatchToWrite): number {
    const { transactionalId, version } = by;
    const partition = this.partitions[index]!;
    const { producerEpoch, producerId } = batch;
    if (!partition.hasOngoing(producerId, producerEpoch)) {
      const code =
        version >= 2
          ? this.addPartition(by, { producerId, producerEpoch }, batch.transaction!, index)
          : this.verify(transactionalId, { producerId, producerEpoch }, index);
      if (code !== ErrorCode.NONE) return code;
    }
    return partition.append(batch);
  }

  private verify(transactionalId: string, identity: Identity, index: number): number {
    const verdict = this.test.shard.verify({ transactionalId, ...identity });
    if (typeof verdict === "number") return verdict;
    return verdict(topic, index) ? ErrorCode.NONE : ErrorCode.TRANSACTION_ABORTABLE;
  }

  writePlain(index: number, value: string): void {
    const batch = { value, producerId: -1n, producerEpoch: -1, sequence: -1, transaction: null };
    assert.equal(this.partitions[index]!.append(batch), ErrorCode.NONE);
  }

  // --- markers ----------------------------------------------------------------------------------

  get hasMarkers(): boolean {
    return this.sending.length > 0;
  }

  /** One marker of one transaction, or its completion where all are written. `isLate`: a copy of it comes again later. */
  sendMarker(which: number, isLate: boolean): void {
    const one = this.sending[which % Math.max(1, this.sending.length)];
    if (one === undefined) return;
    const index = one.left.shift();
    if (index === undefined) return this.complete(one);
    const { clientVersion, producerEpoch, producerId, state } = one.transaction;
    const marker: MarkerToWrite = {
      ...{ clientVersion, producerEpoch, producerId, isCommit: state === "PrepareCommit", transaction: one.of },
      coordinatorEpoch: this.coordinatorEpoch,
    };
    // Against the repeat of a marker by its own coordinator v1 has no defence (it is what KIP-890 mends): connections keep it from coming.
    if (isLate && clientVersion >= 2) this.late.push(() => void this.partitions[index]!.mark(marker));
    const code = this.partitions[index]!.mark(marker);
    assert.equal(code, ErrorCode.NONE, `the marker of ${one.of?.name} in partition ${index}`);
  }

  private complete(one: Sending): void {
    const { transaction } = one;
    const before = this.state(transaction.transactionalId);
    this.test.refusing = this.refuseNext ? ErrorCode.NOT_ENOUGH_REPLICAS : null;
    this.refuseNext = false;
    const done = this.test.decide((shard, nowMs) => shard.complete(transaction, nowMs));
    this.test.refusing = null;
    if (typeof done !== "boolean") return;
    this.sending = this.sending.filter((other) => other !== one);
    if (before !== undefined && done) this.observe(transaction.transactionalId, before, null, false);
    this.takeSending();
  }

  // --- what happens to them ---------------------------------------------------------------------

  refuse(): void {
    this.refuseNext = true;
  }

  /** The coordinator's partition goes to another broker; markers on their way may still come, in the name of the old one. */
  reload(isLateToo: boolean): void {
    if (isLateToo && this.sending.length > 0) {
      const { left, of, transaction } = this.sending[0]!;
      const index = left[0];
      const { clientVersion, producerEpoch, producerId, state } = transaction;
      const marker = { clientVersion, producerEpoch, producerId, isCommit: state === "PrepareCommit", transaction: of };
      const { coordinatorEpoch } = this;
      if (index !== undefined) this.late.push(() => void this.partitions[index]!.mark({ ...marker, coordinatorEpoch }));
    }
    this.test.runtime.close();
    this.test = this.test.reloaded();
    this.coordinatorEpoch++;
    this.sending = [];
    this.takeSending();
  }

  pass(ms: number, ids: readonly string[]): void {
    const before = new Map(ids.map((id) => [id, this.state(id)]));
    this.test.pass(ms);
    for (const id of ids) this.observe(id, before.get(id), null, false);
    this.takeSending();
  }

  /** As if the id had had thirty thousand transactions: its epochs run out. Null where it is not idle. */
  age(id: string): Identity | null {
    const before = this.state(id);
    if (before === undefined || before.state === "Ongoing" || before.state.startsWith("Prepare")) return null;
    if (isEpochExhausted(before.producerEpoch)) return null;
    const transaction = { ...before, producerEpoch: epochLast, lastProducerEpoch: -1 };
    const records = [{ transactionalId: id, transaction }];
    const answer = this.decide(id, () => this.test.decide<null>(() => ({ records, answer: null })), null, false);
    return answer === null ? { producerId: before.producerId, producerEpoch: epochLast } : null;
  }

  hold(): void {
    const fresh = this.test.reloaded();
    const now = [...this.test.shard.transactions].map(lasting);
    assert.deepEqual([...fresh.shard.transactions].map(lasting), now, "a fresh replay gives the same state");
    for (const one of this.test.shard.transactions) {
      if (one.state !== "PrepareCommit" && one.state !== "PrepareAbort") continue;
      const isSent = this.sending.some(({ transaction }) => transaction.transactionalId === one.transactionalId);
      assert.ok(isSent, "what is decided is seen to its end");
    }
    fresh.runtime.close();
  }

  /** At the end of it all: nothing is open, and what each producer was told is so. */
  holdOutcomes(): void {
    for (const partition of this.partitions)
      for (const entry of partition.entries) assert.notEqual(entry.end, "open", `${entry.value} is never ended`);
    for (const { acknowledged, decision, told } of this.transactions) {
      if (told !== null) assert.equal(decision, told, "a producer is told what was decided");
      for (const { partition, value } of acknowledged) {
        const entry = this.partitions[partition]!.entries.find((each) => each.value === value);
        assert.equal(entry?.end, decision, `${value} is ended as its transaction`);
      }
    }
  }
}

/** What the log holds of it. */
function lasting({ lastProducerEpoch, ...rest }: Transaction): unknown {
  return { ...rest, partitions: [...rest.partitions] };
}
