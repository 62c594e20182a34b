// The lines of a recorded conversation between Apache Kafka's clients and its broker (../shared/protocol/transcripts).
import { readFileSync } from "node:fs";
import { sharedPath } from "../shared.ts";

export interface FrameLine {
  /** Milliseconds since the recording began. */
  readonly t: number;
  readonly via: string;
  readonly conn: number;
  readonly dir: "req" | "resp";
  /** "raw" for a frame that is no Kafka request. */
  readonly api: string;
  readonly key: number;
  readonly version: number;
  readonly corr: number;
  readonly client: string | null;
  /** The whole frame with its size. */
  readonly hex: string;
}

export interface ConnectionLine {
  readonly t: number;
  readonly via: string;
  readonly conn: number;
  readonly dir: "open" | "client-closed" | "server-closed" | "refused";
}

export type Line = FrameLine | ConnectionLine;

export function readTranscript(flow: string): Line[] {
  const text = readFileSync(sharedPath(`protocol/transcripts/${flow}.jsonl`), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}
