// What became of acquired records, partition by partition, until a request takes it to the broker. Pure state.

/** As requests say it. */
export const acknowledgeTypes = { gap: 0, accept: 1, release: 2, reject: 3, renew: 4 } as const;
export type AcknowledgeType = keyof typeof acknowledgeTypes;

export interface AcknowledgementBatch {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  /** One for all, or one each. */
  readonly acknowledgeTypes: number[];
}

/** Types of one request's batch: beyond it another begins. */
export const typesPerBatchMax = 4096;

export class Acknowledgements {
  readonly #types = new Map<number, number>();

  get isEmpty(): boolean {
    return this.#types.size === 0;
  }

  set(offset: number, type: AcknowledgeType): void {
    this.#types.set(offset, acknowledgeTypes[type]);
  }

  /** Takes everything, as runs of neighbours. */
  take(): { readonly offsets: readonly number[]; readonly batches: readonly AcknowledgementBatch[] } {
    const offsets = [...this.#types.keys()].sort((one, other) => one - other);
    const batches: AcknowledgementBatch[] = [];
    for (let from = 0; from < offsets.length; ) {
      let end = from + 1;
      while (end < offsets.length && offsets[end] === offsets[end - 1]! + 1 && end - from < typesPerBatchMax) end++;
      const types = offsets.slice(from, end).map((offset) => this.#types.get(offset)!);
      batches.push({
        firstOffset: BigInt(offsets[from]!),
        lastOffset: BigInt(offsets[end - 1]!),
        acknowledgeTypes: types.every((type) => type === types[0]) ? [types[0]!] : types,
      });
      from = end;
    }
    this.#types.clear();
    return { offsets, batches };
  }
}
