// Runs each measure on every subject in turn, several rounds, so that a machine whose speed drifts does so for both. Quotes medians.
import type { Subject, SubjectName } from "./subject.ts";

export type Direction = "higher" | "lower";

/** One number that a measure yields, with the promise it is held against where there is one. */
export type Figure = {
  readonly name: string;
  readonly unit: string;
  readonly better: Direction;
  /** Our value ÷ Kafka's must be at least (higher is better) or at most (lower is better) this. */
  readonly ratio?: number;
  /** Our own value must be at most this. */
  readonly bound?: number;
};

export type Measure = {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  /** One round: a value for each figure, in order. */
  run(subject: Subject): Promise<number[]>;
};

export type Row = {
  readonly measure: string;
  readonly figure: Figure;
  readonly values: Partial<Record<SubjectName, number>>;
  readonly ratio: number | null;
  /** Null where nothing is promised or the other side was not measured. */
  readonly met: boolean | null;
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function judge(measure: string, figure: Figure, samples: ReadonlyMap<SubjectName, readonly number[]>): Row {
  const values: Partial<Record<SubjectName, number>> = {};
  for (const [name, list] of samples) if (list.length > 0) values[name] = median(list);
  const { blumfeld: ours, kafka: theirs } = values;
  const ratio = ours === undefined || theirs === undefined ? null : ours / theirs;
  let met: boolean | null = null;
  if (figure.ratio !== undefined && ratio !== null)
    met = figure.better === "higher" ? ratio >= figure.ratio : ratio <= figure.ratio;
  if (figure.bound !== undefined && ours !== undefined) met = met !== false && ours <= figure.bound;
  return { measure, figure, values, ratio, met };
}
