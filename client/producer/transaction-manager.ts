// The transactions of one producer: who it is, which state its transaction is in, what it may send. The sender asks it before each batch and tells it
// of each that failed; the program begins and ends transactions with it. One transaction at a time.
//
//   state    → state           cause
//   new      → ready|prepared  InitProducerId; prepared where a transaction was kept (KIP-939)
//   ready    → open            begin
//   open     → prepared        prepare: everything is written, the decision is left to another system
//   open     → failed          a batch, a partition or an offset was refused: only an abort leads on
//   open, prepared → ending → ready    commit
//   open, prepared, failed → ending → ready    abort
//   any      → fatal           another producer has taken over, a right is missing, the coordinator is of another mind
//
// Transactions v1 name each partition to the coordinator before the first write; in v2 (KIP-890) the brokers do, and each end raises the epoch.
import { topicPartitionKey } from "@blumfeld/core/model";
import { backoffMs } from "../connection/backoff.ts";
import type { ClusterClient } from "../connection/cluster-client.ts";
import type { CommittedOffset, GroupMetadata } from "../consumer/group/group-offsets.ts";
import { clientError, KafkaError } from "../errors.ts";
import type { ProducerIdentity } from "./partition-queue.ts";
import { fateOf, type TransactionCall, TransactionError } from "./transaction-error.ts";
import { TransactionRequests } from "./transaction-requests.ts";

/** What the manager asks of the producer's other parts. */
export interface TransactionHost {
  /** Resolves when everything given before has been confirmed or refused. */
  flush(): Promise<void>;
  /** Everything that is not on the wire fails. */
  failUnsent(error: KafkaError): void;
  /** Something may go now that could not before. */
  schedule(): void;
}

export interface TransactionOptions {
  readonly transactionalId: string;
  /** Null with two-phase commit: the transaction has no end but the one it is given. */
  readonly timeoutMs: number | null;
  /** How long a call waits; what it asked for goes on. */
  readonly blockMsMax: number;
}

type State = "new" | "ready" | "open" | "prepared" | "ending" | "failed" | "fatal";

/** Between two tries while the coordinator still completes what was before: it takes some milliseconds. */
const concurrentBackoffMs = 20;

export class TransactionManager {
  readonly #cluster: ClusterClient;
  readonly #options: TransactionOptions;
  readonly #requests: TransactionRequests;
  readonly #host: TransactionHost;
  #state: State = "new";
  #identity: ProducerIdentity | null = null;
  #isV2 = false;
  #error: TransactionError | null = null;
  /** Something of the transaction is at the brokers, or may be: it needs an end. */
  #isStarted = false;
  /** The coordinator has said so. */
  #isConfirmed = false;
  /** The coordinator has to be asked for a new epoch after the abort: numbers of batches were lost. */
  #mustRenew = false;
  /** The same without an abort before: it does not know this producer. */
  #isForgotten = false;
  #prepared: ProducerIdentity | null = null;
  #initializing: Promise<ProducerIdentity | null> | null = null;
  #ending: { readonly isCommit: boolean; readonly done: Promise<void> } | null = null;
  /** v1: partitions of the transaction, and those on their way to it. */
  readonly #added = new Set<string>();
  #toAdd = new Map<string, Set<number>>();
  #isAdding = false;
  readonly #groupsAdded = new Set<string>();
  /** Requests under way; an end waits for them. */
  readonly #operations = new Set<Promise<unknown>>();

  constructor(cluster: ClusterClient, options: TransactionOptions, host: TransactionHost) {
    this.#cluster = cluster;
    this.#options = options;
    this.#host = host;
    this.#requests = new TransactionRequests(cluster, options.transactionalId);
  }

  // --- for the sender ---------------------------------------------------------------------------

  get transactionalId(): string {
    return this.#options.transactionalId;
  }

  /** Null while nothing may be sent. */
  get identity(): ProducerIdentity | null {
    return this.#state === "open" || this.#state === "ending" ? this.#identity : null;
  }

  get isV2(): boolean {
    return this.#isV2;
  }

  /** Whether batches that failed may be tried again: not in a transaction that is to be aborted. */
  get mayRetry(): boolean {
    return this.#error === null && (this.#ending === null || this.#ending.isCommit);
  }

  /** Why a record cannot be sent now; null where it can. */
  get sendProblem(): KafkaError | null {
    if (this.#state === "open") return null;
    return this.#error ?? this.#wrongState("send", "begin a transaction first");
  }

  /** Whether a batch of the partition may go. In v1 the partition is added first, and the host is told when it is. */
  mayProduce(topic: string, partition: number): boolean {
    if (this.#isV2) {
      this.#isStarted = true;
      return true;
    }
    if (this.#added.has(topicPartitionKey(topic, partition))) return true;
    const partitions = this.#toAdd.get(topic);
    if (partitions === undefined) this.#toAdd.set(topic, new Set([partition]));
    else partitions.add(partition);
    this.#startAdding();
    return false;
  }

  /** Records are lost to the transaction. `hadSequence`: and later ones of the partition cannot follow on. */
  onBatchFailed(error: KafkaError, hadSequence: boolean): void {
    if (hadSequence) this.#mustRenew = true;
    const isAborting = this.#ending?.isCommit === false;
    if ((this.#state === "open" || this.#state === "ending") && !isAborting) this.#fail("produce", error);
  }

  /** A batch that had a number was given up because its transaction was. */
  onSequenceLost(): void {
    this.#mustRenew = true;
  }

  /** The client is closed: nothing more comes. */
  close(): void {
    if (this.#state === "fatal") return;
    this.#state = "fatal";
    this.#error ??= new TransactionError(clientError("CLIENT_CLOSED", "the producer is closed"), "fatal");
  }

  // --- for the program --------------------------------------------------------------------------

  get isNew(): boolean {
    return this.#state === "new";
  }

  /** Of what the open transaction failed; null where it did not. */
  get failure(): TransactionError | null {
    return this.#error;
  }

  /** One is open, or failed and not yet aborted. */
  get needsEnd(): boolean {
    return this.#state === "open" || this.#state === "failed";
  }

  /** Resolves with who had prepared the transaction that is open now; null where none is. */
  initialize(keepsPrepared: boolean): Promise<ProducerIdentity | null> {
    if (this.#state === "fatal") return Promise.reject(this.#error);
    if (this.#initializing === null) {
      if (this.#state !== "new") return Promise.reject(this.#wrongState("initTransactions", "it is called once"));
      this.#initializing = this.#initialize(keepsPrepared).catch((error: unknown) => {
        this.#initializing = null;
        throw error;
      });
    }
    return this.#bounded("initTransactions", this.#initializing);
  }

  begin(): void {
    if (this.#state === "fatal") throw this.#error;
    if (this.#state !== "ready") throw this.#wrongState("beginTransaction", hintOf[this.#state]);
    this.#isV2 = this.#requests.isV2;
    this.#state = "open";
  }

  /** Commits offsets of what was consumed with the transaction. */
  sendOffsets(offsets: readonly CommittedOffset[], group: GroupMetadata): Promise<void> {
    if (this.#state !== "open") return Promise.reject(this.sendProblem);
    if (offsets.length === 0) return Promise.resolve();
    return this.#bounded("sendOffsets", this.#operation(this.#sendOffsets(offsets, group)));
  }

  /** Everything is written and the transaction waits for its decision: that of `complete`, of this producer or of the next with its id. */
  async prepare(): Promise<ProducerIdentity> {
    if (this.#options.timeoutMs !== null)
      throw clientError("CLIENT_INVALID_ARGUMENT", "prepare needs the option twoPhaseCommit");
    if (this.#state !== "open") throw this.sendProblem;
    await this.#bounded("prepare", this.#written());
    this.#state = "prepared";
    this.#prepared = this.#identity;
    return this.#identity!;
  }

  /** What `prepare` answered, or `initialize`; null where nothing is prepared. */
  get prepared(): ProducerIdentity | null {
    return this.#state === "prepared" ? this.#prepared : null;
  }

  /** May be called again, for the same end, when it took too long. */
  end(isCommit: boolean): Promise<void> {
    const what = isCommit ? "commit" : "abort";
    if (this.#state === "fatal" || (isCommit && this.#state === "failed")) return Promise.reject(this.#error);
    if (this.#ending === null) {
      const mayEnd = this.#state === "open" || this.#state === "prepared" || this.#state === "failed";
      if (!mayEnd) return Promise.reject(this.#wrongState(what, "no transaction is open"));
      const wasPrepared = this.#state === "prepared";
      this.#state = "ending";
      const done = Promise.resolve().then(() => this.#end(isCommit, wasPrepared));
      const settled = (): void => {
        this.#ending = null;
      };
      this.#ending = { isCommit, done };
      done.then(settled, settled);
    } else if (this.#ending.isCommit !== isCommit) {
      return Promise.reject(this.#wrongState(what, `the transaction is being ${isCommit ? "aborted" : "committed"}`));
    }
    return this.#bounded(what, this.#ending.done);
  }

  /** Resolves when the end that is under way has come about; rejects as it does. */
  ended(): Promise<void> {
    return this.#ending === null ? Promise.resolve() : this.#bounded("the end", this.#ending.done);
  }

  /** Before the producer is closed: waits for the end that is under way, aborts what is open. What is prepared stays so. */
  async finish(): Promise<void> {
    await this.#ending?.done;
    if (this.needsEnd) await this.end(false);
  }

  // --- inside -----------------------------------------------------------------------------------

  async #initialize(keepsPrepared: boolean): Promise<ProducerIdentity | null> {
    const { timeoutMs } = this.#options;
    const ask = {
      timeoutMs: timeoutMs ?? 0x7fff_ffff,
      before: null,
      isTwoPhase: timeoutMs === null,
      keepsPrepared,
    };
    const answer = await this.#untilAnswered("init", null, () => this.#requests.init(ask));
    this.#identity = answer.identity;
    this.#prepared = answer.prepared;
    this.#isV2 = this.#requests.isV2;
    this.#isStarted = answer.prepared !== null;
    this.#state = answer.prepared === null ? "ready" : "prepared";
    return answer.prepared;
  }

  async #sendOffsets(offsets: readonly CommittedOffset[], group: GroupMetadata): Promise<void> {
    const { groupId } = group;
    const identity = this.#identity!;
    if (!this.#isV2 && !this.#groupsAdded.has(groupId)) {
      await this.#untilAnswered("addOffsets", null, () => {
        this.#isStarted = true;
        return this.#requests.addOffsets(identity, groupId);
      });
      this.#groupsAdded.add(groupId);
      this.#isConfirmed = true;
    }
    await this.#untilAnswered("commitOffsets", groupId, () => {
      this.#isStarted = true;
      return this.#requests.commitOffsets(identity, this.#isV2, group, offsets);
    });
  }

  #startAdding(): void {
    if (this.#isAdding || this.#toAdd.size === 0 || this.#error !== null) return;
    this.#isAdding = true;
    const adding = this.#addPartitions()
      .catch(() => {
        // Its meaning is in the state already.
      })
      .finally(() => {
        this.#isAdding = false;
      });
    void this.#operation(adding);
  }

  async #addPartitions(): Promise<void> {
    // At the end of the turn: the batches that come together name their partitions together.
    await Promise.resolve();
    while (this.#toAdd.size > 0) {
      const topics = this.#toAdd;
      this.#toAdd = new Map();
      const identity = this.#identity!;
      await this.#untilAnswered("addPartitions", null, () => {
        this.#isStarted = true;
        return this.#requests.addPartitions(identity, topics);
      });
      this.#isConfirmed = true;
      for (const [topic, partitions] of topics) {
        for (const partition of partitions) this.#added.add(topicPartitionKey(topic, partition));
      }
      this.#host.schedule();
    }
  }

  /** Every record and offset of the transaction is at the brokers; rejects where one is not. */
  async #written(): Promise<void> {
    await this.#host.flush();
    while (this.#operations.size > 0) await Promise.allSettled([...this.#operations]);
    if (this.#error !== null) throw this.#error;
  }

  async #end(isCommit: boolean, wasPrepared: boolean): Promise<void> {
    if (!wasPrepared) {
      if (!isCommit) this.#host.failUnsent(clientError("CLIENT_INVALID_ARGUMENT", "its transaction was aborted"));
      await (isCommit ? this.#written() : this.#written().catch(() => {}));
    }
    if (this.#isFatal) throw this.#error;
    // An abort mends what failed; what fails from here on is the end's own.
    this.#error = null;
    if (this.#isStarted && !this.#isForgotten) {
      await this.#sendEnd(isCommit);
    }
    if (this.#mustRenew || this.#isForgotten) await this.#renew();
    this.#isStarted = false;
    this.#isConfirmed = false;
    this.#prepared = null;
    this.#added.clear();
    this.#toAdd.clear();
    this.#groupsAdded.clear();
    this.#state = "ready";
  }

  async #sendEnd(isCommit: boolean): Promise<void> {
    const identity = this.#identity!;
    try {
      this.#identity = await this.#untilAnswered("end", null, async () => {
        try {
          return await this.#requests.end(identity, this.#isV2, isCommit);
        } catch (error) {
          // No partition ever reached the coordinator: there is nothing open that could be aborted.
          const isNothing = error instanceof KafkaError && error.code === "INVALID_TXN_STATE" && !isCommit;
          if (isNothing && !this.#isConfirmed) return identity;
          throw error;
        }
      });
      if (this.#isV2) this.#mustRenew = false;
    } catch (error) {
      // What the coordinator has forgotten is aborted, or will be by its timeout: this producer begins anew.
      if (isCommit || !this.#isForgotten || this.#isFatal) throw error;
      this.#error = null;
    }
  }

  /** The next epoch, so that batches can be numbered from 0 again. */
  async #renew(): Promise<void> {
    const { timeoutMs } = this.#options;
    const ask = {
      timeoutMs: timeoutMs ?? 0x7fff_ffff,
      before: this.#identity,
      isTwoPhase: timeoutMs === null,
      keepsPrepared: false,
    };
    const { identity } = await this.#untilAnswered("init", null, () => this.#requests.init(ask));
    this.#identity = identity;
    this.#mustRenew = false;
    this.#isForgotten = false;
  }

  /** Asks until there is an answer to go by. `groupId`: whose coordinator is asked; null: the transaction's. */
  async #untilAnswered<Answer>(
    call: TransactionCall,
    groupId: string | null,
    ask: () => Promise<Answer>,
  ): Promise<Answer> {
    const { deadlines, options, random } = this.#cluster.context;
    const policy = { initialMs: options.retryBackoffMs, maxMs: options.retryBackoffMsMax };
    const isPart = call !== "init" && call !== "end";
    for (let retry = 0; ; retry++) {
      if (this.#isFatal) throw this.#error;
      // What belongs to a transaction that is being aborted is not asked for again: an answer may come after the end.
      if (isPart && !this.mayRetry) throw this.#error ?? this.#wrongState(call, "the transaction is being aborted");
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        if (this.#cluster.isClosed) throw this.#fail(call, clientError("CLIENT_CLOSED", "the producer is closed"));
        const fate = fateOf(call, error);
        if (fate !== "repeat" && fate !== "repeat-elsewhere") throw this.#fail(call, error);
        if (fate === "repeat-elsewhere") this.#requests.forgetCoordinator(groupId);
        const isConcurrent = error.code === "CONCURRENT_TRANSACTIONS";
        await deadlines.sleep(isConcurrent ? concurrentBackoffMs : backoffMs(policy, retry, random));
      }
    }
  }

  get #isFatal(): boolean {
    return this.#state === "fatal";
  }

  #fail(call: TransactionCall, cause: KafkaError): TransactionError {
    if (this.#isFatal) return this.#error!;
    const fate = fateOf(call, cause);
    const error = new TransactionError(cause, fate === "fatal" ? "fatal" : "abort");
    if (fate === "abort-and-renew") this.#isForgotten = true;
    // Before the first answer there is no transaction to abort: the call itself may be tried again.
    if (error.fate === "abort" && this.#state === "new") return error;
    if (error.fate === "fatal") this.#error = error;
    else this.#error ??= error;
    this.#state = error.fate === "fatal" ? "fatal" : "failed";
    this.#host.failUnsent(this.#error);
    return this.#error;
  }

  #operation<Result>(promise: Promise<Result>): Promise<Result> {
    this.#operations.add(promise);
    const settled = (): void => {
      this.#operations.delete(promise);
    };
    promise.then(settled, settled);
    return promise;
  }

  #bounded<Result>(what: string, promise: Promise<Result>): Promise<Result> {
    const { blockMsMax } = this.#options;
    promise.catch(() => {});
    return this.#cluster.context.deadlines.within(promise, blockMsMax, () =>
      clientError(
        "CLIENT_TIMEOUT",
        `${what} of transactional id ${this.transactionalId} takes longer than ${blockMsMax} ms and goes on; call it again to wait longer`,
      ),
    );
  }

  #wrongState(what: string, hint: string): KafkaError {
    return clientError("INVALID_TXN_STATE", `${what} of transactional id ${this.transactionalId}: ${hint}`);
  }
}

const hintOf: Readonly<Record<Exclude<State, "ready" | "fatal">, string>> = {
  new: "call initTransactions first",
  open: "a transaction is open; commit or abort it first",
  prepared: "a prepared transaction is open; complete it first",
  ending: "the last transaction is still being ended",
  failed: "the last transaction failed; abort it first",
};
