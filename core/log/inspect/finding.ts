// What is wrong with a file of a log directory, in words for a person. Findings are collected, not thrown: one damaged file hides no other.

export type FindingSeverity =
  /** Left over from a stop or a crash; the next start puts it away and nothing is missing. */
  | "note"
  /** The next start mends it by itself: an index is built anew, a write that nobody was told of is cut. */
  | "mendable"
  /** Records, or what a broker knows, are damaged or missing. */
  | "damage";

export interface Finding {
  readonly severity: FindingSeverity;
  readonly path: string;
  /** In bytes; null where the whole file is meant. */
  readonly position: number | null;
  /** What is wrong, found and expected. */
  readonly problem: string;
  /** What cannot be had any more; null where nothing is. */
  readonly lost: string | null;
}

/** Findings of one file are given up after so many: a file of zeros has no use for a million. */
export const findingsPerFileMax = 20;

export class Findings {
  readonly list: Finding[] = [];
  private readonly countOf = new Map<string, number>();

  add(
    severity: FindingSeverity,
    path: string,
    position: number | null,
    problem: string,
    lost: string | null = null,
  ): void {
    const count = (this.countOf.get(path) ?? 0) + 1;
    this.countOf.set(path, count);
    if (count > findingsPerFileMax) return;
    const last = count === findingsPerFileMax ? "; more of this file is not listed" : "";
    this.list.push({ severity, path, position, problem: problem + last, lost });
  }
}
