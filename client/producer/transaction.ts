// One transaction, as a program holds it: what goes through it is visible to readers of committed records together, or never.
import type { CommittedOffset, GroupMetadata } from "../consumer/group/group-offsets.ts";
import { clientError } from "../errors.ts";
import type { ProducerRecord, RecordMetadata } from "../records.ts";
import type { ProducerIdentity } from "./partition-queue.ts";
import type { TransactionManager } from "./transaction-manager.ts";

/** Names a prepared transaction: text to be kept with what was decided. */
export type PreparedState = string;

/** The part of the producer that a transaction uses. */
interface Sends {
  send(record: ProducerRecord): Promise<RecordMetadata>;
  send(records: readonly ProducerRecord[]): Promise<RecordMetadata[]>;
}

export class Transaction {
  readonly #sends: Sends;
  readonly #manager: TransactionManager;
  #isOver = false;

  constructor(sends: Sends, manager: TransactionManager) {
    this.#sends = sends;
    this.#manager = manager;
  }

  /** As `Producer.send`. It need not be awaited: the commit waits for it, and fails where it fails. */
  send(record: ProducerRecord): Promise<RecordMetadata>;
  send(records: readonly ProducerRecord[]): Promise<RecordMetadata[]>;
  send(input: ProducerRecord | readonly ProducerRecord[]): Promise<RecordMetadata | RecordMetadata[]> {
    if (this.#isOver) return Promise.reject(overError());
    const sent: Promise<RecordMetadata | RecordMetadata[]> = this.#sends.send(input as ProducerRecord);
    sent.catch(() => {});
    return sent;
  }

  /** Commits the offsets of what was consumed with the transaction; `group` is the consumer's `groupMetadata()`. */
  sendOffsets(offsets: readonly CommittedOffset[], group: GroupMetadata): Promise<void> {
    if (this.#isOver) return Promise.reject(overError());
    const sent = this.#manager.sendOffsets(offsets, group);
    sent.catch(() => {});
    return sent;
  }

  /** Resolves when the coordinator has decided the commit. Rejects with a TransactionError: abort then, unless it is fatal. */
  async commit(): Promise<void> {
    if (this.#isOver) throw overError();
    await this.#manager.end(true);
    this.#isOver = true;
  }

  async abort(): Promise<void> {
    if (this.#isOver) throw overError();
    await this.#manager.end(false);
    this.#isOver = true;
  }

  /** Writes everything and leaves the decision open (KIP-939): `Producer.completeTransaction` takes it, of this producer or of the next. */
  async prepare(): Promise<PreparedState> {
    if (this.#isOver) throw overError();
    const prepared = await this.#manager.prepare();
    this.#isOver = true;
    return preparedStateText(prepared);
  }

  /** Not committed, aborted or prepared yet. */
  get isOpen(): boolean {
    return !this.#isOver && this.#manager.needsEnd;
  }
}

/** As Kafka's client writes it. */
export function preparedStateText({ producerEpoch, producerId }: ProducerIdentity): PreparedState {
  return `${producerId}:${producerEpoch}`;
}

export function parsePreparedState(text: PreparedState): ProducerIdentity {
  const match = /^(\d{1,16}):(\d{1,5})$/.exec(text);
  if (match === null)
    throw clientError("CLIENT_INVALID_ARGUMENT", `"${text}" is not a prepared transaction such as 4000:7`);
  return { producerId: Number(match[1]), producerEpoch: Number(match[2]) };
}

function overError(): Error {
  return clientError("INVALID_TXN_STATE", "the transaction is over");
}
