// Where the broker answers otherwise than the recorded one, and why that is so. A row that no longer differs fails the test: the list shrinks.

export interface KnownDifference {
  readonly flow: string;
  /** Matches `request path` of the finding. */
  readonly where: RegExp;
  readonly why: string;
}

export const knownDifferences: readonly KnownDifference[] = [];
