// A transactional producer as a client is one: begins, writes, ends, and draws the conclusions from each answer that Kafka's client draws. Requests may
// be late: they come to the brokers whenever the schedule says, and their sender has given them up by then. A producer that another one
// followed goes on as before, for it does not know.
import { strict as assert } from "node:assert";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { TransactionWorld } from "./world.ts";
import { type WorldTransaction, worldTransaction } from "./world-transaction.ts";

interface Identity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

export class WorldProducer {
  readonly transactionalId: string;
  /** 0: transactions v1, 2: v2. */
  readonly version: number;
  readonly isTwoPhase: boolean;
  /** Another producer of this id has been let in since. */
  isFollowed = false;
  private readonly world: TransactionWorld;
  identity: Identity | null = null;
  transaction: WorldTransaction | null = null;
  private sequences = new Map<number, number>();
  private readonly added = new Set<number>();
  /** A write is late: the transaction can only be aborted. */
  private isUncertain = false;
  /** v1: numbers were lost, a new epoch is needed. */
  private mustRenew = false;
  private isOver = false;
  /** Asked for, and not answered yet: nothing else is asked for. */
  private endAsked: "commit" | "abort" | null = null;

  constructor(world: TransactionWorld, transactionalId: string, version: number, isTwoPhase: boolean) {
    this.world = world;
    this.transactionalId = transactionalId;
    this.version = version;
    this.isTwoPhase = isTwoPhase;
  }

  /** Whether it is let in. `keeps`: an open transaction is left to it. */
  init(keeps: boolean): boolean {
    const expected = this.mustRenew ? this.identity : null;
    const answer = this.world.initProducer(this, expected, keeps);
    if (answer === null) return false;
    if ("errorCode" in answer) {
      if (answer.errorCode === ErrorCode.PRODUCER_FENCED) this.isOver = true;
      return false;
    }
    this.take(answer);
    this.mustRenew = false;
    if (answer.kept !== undefined) {
      this.transaction = this.world.openOf(this.transactionalId);
      assert.ok(this.transaction !== null, "what is kept is open");
    }
    return true;
  }

  /** It has had so many transactions that its epochs run out. */
  age(): void {
    if (this.transaction !== null || this.isFollowed || this.identity === null || this.isOver || this.mustRenew) return;
    const aged = this.world.age(this.transactionalId);
    if (aged !== null) this.take(aged);
  }

  private take({ producerEpoch, producerId }: Identity): void {
    const isSame = this.identity?.producerId === producerId && this.identity.producerEpoch === producerEpoch;
    if (!isSame) this.sequences.clear();
    this.identity = { producerId, producerEpoch };
  }

  get canWrite(): boolean {
    if (this.identity === null || this.isOver || this.endAsked !== null) return false;
    return !this.isUncertain && !this.mustRenew && !this.isDeciding;
  }

  /** It took over what another had prepared: it may only decide it. */
  private get isDeciding(): boolean {
    return this.transaction !== null && this.world.isKept(this.transactionalId, this.transaction);
  }

  write(partition: number, value: string, isLate: boolean): void {
    if (!this.canWrite) return;
    const identity = this.identity!;
    this.transaction ??= worldTransaction();
    const { transaction } = this;
    if (this.version < 2 && !this.added.has(partition)) {
      const code = this.world.addPartition(this, identity, transaction, partition);
      if (code !== ErrorCode.NONE) return this.failed(code);
      this.added.add(partition);
    }
    const sequence = this.sequences.get(partition) ?? 0;
    const batch = { value, ...identity, sequence, transaction };
    if (isLate) {
      this.isUncertain = true;
      this.world.late.push(() => {
        this.world.produce(this, partition, batch);
      });
      return;
    }
    const code = this.world.produce(this, partition, batch);
    if (code !== ErrorCode.NONE) return this.failed(code);
    this.sequences.set(partition, sequence + 1);
    transaction.acknowledged.push({ partition, value });
  }

  /** Something of the transaction was refused: an abort is what is left, unless this producer is over. */
  private failed(code: number): void {
    if (retriable.has(code)) {
      // The client would ask again; the schedule may have it give up instead.
      this.isUncertain = true;
      return;
    }
    if (code === ErrorCode.PRODUCER_FENCED) this.isOver = true;
    else this.isUncertain = true;
  }

  /** `isLost`: the answer does not come; the same is asked again later. */
  end(wantsCommit: boolean, isLost: boolean): void {
    const { identity, transaction } = this;
    if (identity === null || this.isOver || transaction === null) return;
    this.endAsked ??= wantsCommit && !this.isUncertain ? "commit" : "abort";
    const isCommit = this.endAsked === "commit";
    if (isCommit) transaction.isCommitAsked = true;
    const answer = this.world.endTransaction(this, identity, isCommit);
    if (answer === null || isLost) return;
    if ("errorCode" in answer) {
      if (retriable.has(answer.errorCode)) return;
      // Nothing reached the coordinator, or it forgot the id: this producer begins anew.
      const isNothing = answer.errorCode === ErrorCode.INVALID_TXN_STATE && !isCommit;
      if (!isNothing && answer.errorCode !== ErrorCode.INVALID_PRODUCER_ID_MAPPING) {
        this.isOver = true;
        return;
      }
    } else {
      transaction.told = isCommit ? "commit" : "abort";
      if (this.version >= 2) this.take(answer);
    }
    const isForgotten = "errorCode" in answer && answer.errorCode === ErrorCode.INVALID_PRODUCER_ID_MAPPING;
    this.mustRenew = isForgotten || (this.isUncertain && this.version < 2);
    this.isUncertain = false;
    this.endAsked = null;
    this.transaction = null;
    this.added.clear();
  }
}

const retriable: ReadonlySet<number> = new Set([
  ErrorCode.CONCURRENT_TRANSACTIONS,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
]);
