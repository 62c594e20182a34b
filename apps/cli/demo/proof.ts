// Proves that what came back is what was sent: each record once, its bytes the same, in order within its key. An obvious model: an array of
// what was sent and the last number seen of each key.
import type { Message } from "@blumfeld/client";

export interface Sent {
  readonly key: string;
  readonly value: string;
  readonly timestamp: number;
}

export class Proof {
  readonly #sent: readonly Sent[];
  readonly #seen: Uint8Array;
  readonly #lastOfKey = new Map<string, number>();
  readonly #partitionOfKey = new Map<string, number>();
  readonly problems: string[] = [];
  #count = 0;

  constructor(sent: readonly Sent[]) {
    this.#sent = sent;
    this.#seen = new Uint8Array(sent.length);
  }

  /** The record says by its header which one it is; everything else is compared. */
  check(message: Message): void {
    const where = `${message.topic}-${message.partition} at offset ${message.offset}`;
    const number = Number(message.header("number")?.toString());
    const sent = this.#sent[number];
    if (sent === undefined) return this.#report(`${where}: record "${number}" was never sent`);
    this.#count++;
    if (this.#seen[number] === 1) this.#report(`${where}: record ${number} came twice`);
    this.#seen[number] = 1;
    if (message.keyText() !== sent.key) this.#report(`${where}: key of record ${number} changed`);
    if (message.valueText() !== sent.value) this.#report(`${where}: value of record ${number} changed`);
    if (message.timestamp !== sent.timestamp) this.#report(`${where}: timestamp of record ${number} changed`);
    const last = this.#lastOfKey.get(sent.key) ?? -1;
    if (number <= last) this.#report(`${where}: record ${number} of ${sent.key} came after ${last}`);
    this.#lastOfKey.set(sent.key, number);
    const partition = this.#partitionOfKey.get(sent.key) ?? message.partition;
    if (partition !== message.partition) this.#report(`${where}: ${sent.key} is in partition ${partition} too`);
    this.#partitionOfKey.set(sent.key, partition);
  }

  /** Once all has been read. */
  finish(): void {
    const missing = this.#seen.indexOf(0);
    if (missing >= 0)
      this.#report(`record ${missing} never came back (${this.#sent.length - this.#count} are missing)`);
  }

  get keyCount(): number {
    return this.#lastOfKey.size;
  }

  get isEverythingThere(): boolean {
    return this.problems.length === 0;
  }

  #report(problem: string): void {
    if (this.problems.length < 10) this.problems.push(problem);
  }
}
