// `consumer.run`: several messages at once, with the order kept that is asked for, and nothing committed that is not done. What the program is done
// with is told partition by partition: everything below the first message that is still in hand.
//
// A partition that goes to another member is given up when everything up to the last message that was begun is done; what waits behind that is
// dropped, the next owner gets it. So nothing is handled twice where members come and go in order.
import type { AssignedPartition } from "./assigned-partition.ts";
import type { Message, MessageBatch } from "./message.ts";

export interface RunContext {
  /** Aborts where the partition is lost, or the run ends by a failure: the result counts no more. */
  readonly signal: AbortSignal;
}

/** What becomes of a message whose handler rejected: the run ends with the error, it is handled again, or it counts as done. */
export type FailureDecision = "stop" | "retry" | "skip";

interface CommonRunOptions {
  /** Ends the run when what is in hand is done. */
  readonly signal?: AbortSignal;
  /** Handlers at once. Default 1. */
  readonly concurrency?: number;
}

export interface RunMessages extends CommonRunOptions {
  readonly eachMessage: (message: Message, context: RunContext) => unknown;
  readonly eachBatch?: undefined;
  /** What must not be handled at once: messages of a partition (default), those of a key in it, or nothing. */
  readonly orderBy?: "partition" | "key" | "none";
  /** Default: "stop". */
  readonly onError?: (error: unknown, message: Message) => FailureDecision | Promise<FailureDecision>;
}

export interface RunBatches extends CommonRunOptions {
  /** Batches as they were produced; those of a partition one after the other. */
  readonly eachBatch: (batch: MessageBatch, context: RunContext) => unknown;
  readonly eachMessage?: undefined;
  readonly orderBy?: undefined;
  readonly onError?: (error: unknown, batch: MessageBatch) => FailureDecision | Promise<FailureDecision>;
}

export type RunOptions = RunMessages | RunBatches;

/** Messages that wait for their turn behind others, for each handler. */
const waitingPerHandlerMax = 16;

type Item = Message | MessageBatch;

interface Job {
  readonly item: Item;
  readonly partition: AssignedPartition;
  readonly generation: number;
  readonly offset: number;
  readonly nextOffset: number;
  readonly lane: string | null;
  readonly abort: AbortController;
  isRunning: boolean;
  isDone: boolean;
  /** Given up unhandled: what comes after it is not done either. */
  isDropped: boolean;
}

export interface RunSource {
  next(): Promise<IteratorResult<Item, undefined>>;
  partitionOf(item: Item): AssignedPartition | undefined;
  /** Goes back to `offset`: what was taken from there on comes again. */
  rewind(partition: AssignedPartition, offset: number): void;
  end(): void;
}

export class Runner {
  readonly #options: RunOptions;
  readonly #source: RunSource;
  readonly #concurrency: number;
  /** By partition, in the order of their offsets; the first is not done. */
  readonly #jobs = new Map<AssignedPartition, Job[]>();
  /** By lane, in order; the first runs or is about to. */
  readonly #lanes = new Map<string, Job[]>();
  readonly #startable: Job[] = [];
  #inHand = 0;
  #running = 0;
  #isStopping = false;
  #failure: { readonly error: unknown } | null = null;
  #waiters: (() => void)[] = [];

  constructor(options: RunOptions, concurrency: number, source: RunSource) {
    this.#options = options;
    this.#concurrency = concurrency;
    this.#source = source;
  }

  /** Resolves when it was stopped, rejects with the failure that ended it; nothing is in hand then. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    const stop = (): void => this.stop();
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted === true) this.stop();
    try {
      await this.#takeAll();
    } catch (error) {
      this.#fail(error);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    while (this.#running > 0) await this.#changed();
    this.#rewindRest();
    if (this.#failure !== null) throw this.#failure.error;
  }

  stop(): void {
    this.#isStopping = true;
    this.#source.end();
    this.#tell();
  }

  /** These go to another member: what runs is waited for (where it still counts), what waits is dropped. */
  async settle(partitions: readonly AssignedPartition[], isLost: boolean): Promise<void> {
    for (const partition of partitions) {
      const jobs = this.#jobs.get(partition) ?? [];
      // What waits before something that is done or runs is handled too: else the next owner would get that once more.
      const lastBegun = isLost ? -1 : jobs.findLastIndex(({ isDone, isRunning }) => isDone || isRunning);
      for (const [at, job] of [...jobs.entries()]) {
        if (isLost) job.abort.abort(new Error("the partition is another member's by now"));
        if (at > lastBegun && !job.isRunning && !job.isDone && !job.isDropped) this.#drop(job);
      }
    }
    const isBusy = (): boolean =>
      partitions.some((partition) => this.#jobs.get(partition)?.some(({ isDone, isDropped }) => !isDone && !isDropped));
    while (!isLost && this.#failure === null && isBusy()) await this.#changed();
    for (const partition of partitions) this.#jobs.delete(partition);
  }

  /** Resolves when nothing runs any more. */
  async drained(): Promise<void> {
    while (this.#running > 0) await this.#changed();
  }

  async #takeAll(): Promise<void> {
    const inHandMax = this.#concurrency * (this.#options.eachBatch === undefined ? waitingPerHandlerMax : 2);
    while (!this.#isStopping) {
      if (this.#inHand >= inHandMax) {
        await this.#changed();
        continue;
      }
      const { done, value } = await this.#source.next();
      if (done === true) return;
      const partition = this.#source.partitionOf(value);
      if (partition !== undefined) this.#take(value, partition);
    }
  }

  #take(item: Item, partition: AssignedPartition): void {
    const isBatch = "recordCount" in item;
    const offset = isBatch ? item.firstOffset : item.offset;
    const job: Job = {
      ...{ item, partition, offset, nextOffset: isBatch ? item.nextOffset : offset + 1 },
      ...{ generation: partition.generation, lane: this.#laneOf(item, partition) },
      ...{ abort: new AbortController(), isRunning: false, isDone: false, isDropped: false },
    };
    this.#inHand++;
    const jobs = this.#jobs.get(partition);
    if (jobs === undefined) this.#jobs.set(partition, [job]);
    else jobs.push(job);
    if (job.lane === null) this.#startable.push(job);
    else {
      const lane = this.#lanes.get(job.lane);
      if (lane === undefined) {
        this.#lanes.set(job.lane, [job]);
        this.#startable.push(job);
      } else lane.push(job);
    }
    this.#start();
  }

  /** Null: it may be handled beside anything. */
  #laneOf(item: Item, partition: AssignedPartition): string | null {
    const { orderBy = "partition" } = this.#options;
    if (orderBy === "none") return null;
    if (orderBy === "partition" || !("keyLength" in item)) return partition.key;
    return item.keyLength < 0 ? null : `${partition.key}:${item.key!.toString("latin1")}`;
  }

  #start(): void {
    while (this.#running < this.#concurrency && this.#startable.length > 0 && this.#failure === null) {
      const job = this.#startable.shift()!;
      job.isRunning = true;
      this.#running++;
      void this.#handle(job).finally(() => {
        this.#running--;
        job.isRunning = false;
        this.#leave(job);
        this.#start();
        this.#tell();
      });
    }
  }

  async #handle(job: Job): Promise<void> {
    const { eachBatch, eachMessage, onError } = this.#options as {
      eachBatch?: (item: Item, context: RunContext) => unknown;
      eachMessage?: (item: Item, context: RunContext) => unknown;
      onError?: (error: unknown, item: Item) => FailureDecision | Promise<FailureDecision>;
    };
    const handler = (eachMessage ?? eachBatch)!;
    if (job.partition.isRevoked || job.partition.generation !== job.generation) return this.#done(job);
    for (;;) {
      try {
        await handler(job.item, { signal: job.abort.signal });
        return this.#done(job);
      } catch (error) {
        if (job.abort.signal.aborted) return;
        let decision: FailureDecision = "stop";
        try {
          decision = (await onError?.(error, job.item)) ?? "stop";
        } catch (own) {
          return this.#fail(own);
        }
        if (decision === "skip") return this.#done(job);
        if (decision === "stop") return this.#fail(error);
        if (this.#isStopping) return;
      }
    }
  }

  /** The partition's program is done with everything before the first that is not. */
  #done(job: Job): void {
    job.isDone = true;
    const { partition } = job;
    const jobs = this.#jobs.get(partition);
    if (jobs === undefined || partition.isRevoked) return;
    // Sought since: what was in hand says nothing of the new place.
    while (jobs[0] !== undefined && jobs[0].generation !== partition.generation) jobs.shift();
    let next = -1;
    while (jobs[0]?.isDone === true) next = jobs.shift()!.nextOffset;
    if (next >= 0) partition.consumed = next;
  }

  #leave(job: Job): void {
    this.#inHand--;
    if (job.lane === null) return;
    const lane = this.#lanes.get(job.lane);
    if (lane?.[0] !== job) return;
    lane.shift();
    const next = lane[0];
    if (next === undefined) this.#lanes.delete(job.lane);
    else this.#startable.push(next);
  }

  #drop(job: Job): void {
    job.isDropped = true;
    const at = this.#startable.indexOf(job);
    if (at >= 0) this.#startable.splice(at, 1);
    if (job.lane !== null && this.#lanes.get(job.lane)?.[0] !== job) {
      const lane = this.#lanes.get(job.lane);
      const place = lane?.indexOf(job) ?? -1;
      if (place >= 0) lane!.splice(place, 1);
      this.#inHand--;
    } else this.#leave(job);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const jobs of this.#jobs.values()) for (const job of jobs) job.abort.abort(error);
    this.stop();
  }

  /** What was taken and is not done comes again, in this consumer's next run or loop. */
  #rewindRest(): void {
    for (const [partition, jobs] of this.#jobs) {
      const first = jobs.find(({ isDone }) => !isDone);
      if (first === undefined || partition.isRevoked || partition.generation !== first.generation) continue;
      this.#source.rewind(partition, first.offset);
    }
    this.#jobs.clear();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #tell(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
