// The batches of one partition on their way to its leader, in order, and the sequence numbers they get. Decides which batch may go next;
// sends nothing. Order is kept across retries as in Kafka's client: a batch that is sent again goes alone, as the earliest outstanding one.
import type { ProducerFields } from "@blumfeld/core/model";
import { sequencePlus } from "@blumfeld/core/model";
import type { ProducerBatch } from "./batch.ts";

/** Who the producer is to the brokers. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * A partition's leader recognises the repeat of as many batches of a producer. Where the oldest waits for a broker that is gone while others are
 * confirmed by the next leader, further ones would push it out of that memory, and its repeat would be out of order for ever.
 */
const rememberedBatchCount = 5;

export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  /** Not on the wire, first to go first; the last may be open. */
  readonly waiting: ProducerBatch[] = [];
  /** Some broker's sender looks at it. */
  isReady = false;
  /** In the order of their sequences. */
  readonly onWire: ProducerBatch[] = [];
  /** The sequence after the last acknowledged batch; -1 before the first. */
  #sequenceAcknowledged = 0;
  #identity: ProducerIdentity | null = null;
  #sequenceNext = 0;
  #orderNext = 0;
  /** The epoch was bumped because of this partition: its batches get new sequences once none is on the wire. */
  #mustRenumber = false;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  get isIdle(): boolean {
    return this.waiting.length === 0 && this.onWire.length === 0;
  }

  nextOrder(): number {
    return this.#orderNext++;
  }

  /** The batch that still takes records. */
  get open(): ProducerBatch | null {
    const last = this.waiting[this.waiting.length - 1];
    return last === undefined || last.isClosed ? null : last;
  }

  /** Whether the first waiting batch may go on the wire now, as far as order is concerned. `identity` null: not idempotent. */
  mayGo(identity: ProducerIdentity | null): boolean {
    const first = this.waiting[0];
    if (first === undefined) return false;
    if (identity === null) return true;
    if (this.onWire.length === 0) return true;
    if (this.#mustRenumber) return false;
    const [oldest] = this.onWire;
    if (first.hasSequence) return oldest!.order > first.order;
    return sameIdentity(this.#identity, identity) && first.order - oldest!.order < rememberedBatchCount;
  }

  /** Takes the first waiting batch for the wire and gives it its sequence. Only after `mayGo`. */
  take(identity: ProducerIdentity | null): { readonly batch: ProducerBatch; readonly producer: ProducerFields | null } {
    if (identity !== null && this.onWire.length === 0) this.#settleIdentity(identity);
    const batch = this.waiting.shift()!;
    let at = this.onWire.length;
    while (at > 0 && this.onWire[at - 1]!.order > batch.order) at--;
    this.onWire.splice(at, 0, batch);
    batch.isOnWire = true;
    batch.attempts++;
    if (identity === null || this.#identity === null) return { batch, producer: null };
    if (!batch.hasSequence) {
      batch.baseSequence = this.#sequenceNext;
      this.#sequenceNext = sequencePlus(this.#sequenceNext, batch.recordCount);
    }
    return { batch, producer: { ...this.#identity, baseSequence: batch.baseSequence } };
  }

  /** The request of `batch` has ended, whatever its outcome. */
  leftWire(batch: ProducerBatch): void {
    batch.isOnWire = false;
    const at = this.onWire.indexOf(batch);
    if (at >= 0) this.onWire.splice(at, 1);
  }

  acknowledged(batch: ProducerBatch): void {
    if (batch.hasSequence) this.#sequenceAcknowledged = sequencePlus(batch.baseSequence, batch.recordCount);
  }

  /** Back in line, before all that comes later. */
  putBack(batch: ProducerBatch): void {
    let at = 0;
    while (at < this.waiting.length && this.waiting[at]!.order < batch.order) at++;
    this.waiting.splice(at, 0, batch);
  }

  remove(batch: ProducerBatch): void {
    const at = this.waiting.indexOf(batch);
    if (at >= 0) this.waiting.splice(at, 1);
  }

  /** Every batch before `batch` has been acknowledged: a gap in sequences is then the broker's loss, not our reordering. */
  isNextToAcknowledge(batch: ProducerBatch): boolean {
    return batch.baseSequence === this.#sequenceAcknowledged;
  }

  /** A batch with a sequence is gone for good, or the broker lost its state: what follows must be numbered anew under a new epoch. */
  requireRenumbering(): void {
    this.#mustRenumber = true;
  }

  get mustRenumber(): boolean {
    return this.#mustRenumber;
  }

  /** With nothing on the wire: numbers begin at 0 again where the identity changed or must change. */
  #settleIdentity(identity: ProducerIdentity): void {
    const isSame = sameIdentity(this.#identity, identity);
    if (isSame && !this.#mustRenumber) return;
    // Batches that wait with numbers of the old epoch may still be acknowledged as repeats, unless this partition must renumber.
    if (!this.#mustRenumber && this.#identity !== null && this.waiting[0]!.hasSequence) return;
    this.#identity = identity;
    this.#mustRenumber = false;
    this.#sequenceNext = 0;
    this.#sequenceAcknowledged = 0;
    for (const batch of this.waiting) batch.baseSequence = -1;
  }
}

function sameIdentity(one: ProducerIdentity | null, other: ProducerIdentity): boolean {
  return one !== null && one.producerId === other.producerId && one.producerEpoch === other.producerEpoch;
}
