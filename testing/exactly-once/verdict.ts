// What came out, held against what went in: every record once, in order, partition by partition. Reads as any reader of committed records does.
import { Consumer } from "@blumfeld/client";
import { textOf, topicOut, transformed } from "./plan.ts";

export interface Verdict {
  readonly isExact: boolean;
  readonly recordCount: number;
  readonly missing: number;
  readonly repeated: number;
  readonly disordered: number;
  /** The first things that are wrong. */
  readonly findings: readonly string[];
}

const findingsMax = 10;

/** `counts`: how many records went into each partition. */
export async function judge(bootstrapServers: string, counts: readonly number[]): Promise<Verdict> {
  const findings: string[] = [];
  const tell = (text: string): void => {
    if (findings.length < findingsMax) findings.push(text);
  };
  let [recordCount, repeated, disordered] = [0, 0, 0];
  const seen = counts.map((count) => new Uint8Array(count));
  const last = counts.map(() => -1);
  await using consumer = new Consumer({
    bootstrapServers,
    autoOffsetReset: "earliest",
    isolationLevel: "read_committed",
  });
  await consumer.assignTopics([topicOut]);
  for await (const batch of consumer.batches({ until: "end" })) {
    for (const message of batch) {
      recordCount++;
      const { partition, offset } = message;
      const text = message.valueText()!;
      const sequence = Number(/^r(\d+)/.exec(text)?.[1] ?? -1);
      if (text !== transformed(textOf(sequence)) || sequence >= counts[partition]!) {
        tell(`partition ${partition} offset ${offset}: "${text}" was never written`);
        repeated++;
        continue;
      }
      if (seen[partition]![sequence] === 1) {
        repeated++;
        tell(`partition ${partition} offset ${offset}: record ${sequence} once more`);
      } else if (sequence < last[partition]!) {
        disordered++;
        tell(`partition ${partition} offset ${offset}: record ${sequence} after ${last[partition]}`);
      }
      seen[partition]![sequence] = 1;
      last[partition] = Math.max(last[partition]!, sequence);
    }
  }
  let missing = 0;
  for (const [partition, marks] of seen.entries()) {
    for (let sequence = 0; sequence < marks.length; sequence++) {
      if (marks[sequence] === 1) continue;
      missing++;
      tell(`partition ${partition}: record ${sequence} is missing`);
    }
  }
  return { isExact: missing + repeated + disordered === 0, recordCount, missing, repeated, disordered, findings };
}
