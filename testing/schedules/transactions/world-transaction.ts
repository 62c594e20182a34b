// One transaction as the schedule knows it: who opened it, what its producer asked for, what the coordinator decided.

export interface WorldTransaction {
  readonly name: string;
  /** Its producer (or, once prepared, the one that took it over) asked for a commit. */
  isCommitAsked: boolean;
  decision: "commit" | "abort" | null;
  /** Values that the producer was told are written. */
  readonly acknowledged: { readonly partition: number; readonly value: string }[];
  /** The producer was told how it ended. */
  told: "commit" | "abort" | null;
}

let count = 0;

export function worldTransaction(): WorldTransaction {
  return { name: `t${count++}`, isCommitAsked: false, decision: null, acknowledged: [], told: null };
}
