// What is in the cluster at the end, held against what its users were told: every confirmed record once, in the order in which it was sent, on every
// replica the same bytes.
import { Consumer } from "@blumfeld/client";
import { chaosTopic, type NumberingProducer, type Reader, recordText } from "./load.ts";
import { type Nodes, nodeIds } from "./nodes.ts";

export interface LogVerdict {
  readonly recordCount: number;
  readonly lost: number;
  readonly repeated: number;
  readonly reordered: number;
  readonly unread: number;
  readonly findings: readonly string[];
}

const findingsMax = 20;

export async function judgeLog(
  bootstrapServers: string,
  producers: readonly NumberingProducer[],
  readers: readonly Reader[],
): Promise<LogVerdict> {
  const findings: string[] = [];
  const tell = (text: string): void => {
    if (findings.length < findingsMax) findings.push(text);
  };
  let [recordCount, lost, repeated, reordered, unread] = [0, 0, 0, 0, 0];
  const next = new Map<string, number>();
  await using consumer = new Consumer({
    bootstrapServers,
    autoOffsetReset: "earliest",
    isolationLevel: "read_committed",
  });
  await consumer.assignTopics([chaosTopic]);
  for await (const batch of consumer.batches({ until: "end" })) {
    for (const message of batch) {
      recordCount++;
      const value = message.valueText() ?? "";
      const at = value.lastIndexOf(":");
      const source = value.slice(0, at);
      const number = Number(value.slice(at + 1));
      const wanted = next.get(source) ?? 0;
      if (number === wanted) {
        next.set(source, wanted + 1);
        continue;
      }
      const where = `partition ${message.partition} offset ${message.offset}: ${value}`;
      if (number < wanted) {
        repeated++;
        tell(`${where} once more, or behind ${wanted - 1}`);
      } else {
        reordered++;
        tell(`${where} before ${wanted}`);
        next.set(source, number + 1);
      }
    }
  }
  const read = new Set<string>();
  for (const reader of readers) for (const value of reader.read) read.add(value);
  for (const producer of producers) {
    for (const [partition, count] of producer.sent.entries()) {
      const source = `p${producer.index}:${partition}`;
      const found = next.get(source) ?? 0;
      if (found < count) {
        lost += count - found;
        tell(`${source}: records from ${found} on are lost, ${count} were confirmed`);
      }
      for (let number = 0; number < count; number++)
        if (!read.has(recordText(producer.index, partition, number))) unread++;
    }
  }
  if (unread > 0) tell(`${unread} records were never given to the group`);
  return { recordCount, lost, repeated, reordered, unread, findings };
}

/** Partitions whose replicas are not the same bytes. Of stopped nodes. */
export function unequalReplicas(nodes: Nodes, partitions: readonly { topic: string; count: number }[]): string[] {
  const unequal: string[] = [];
  for (const { count, topic } of partitions) {
    for (let index = 0; index < count; index++) {
      const folder = `${topic}-${index}`;
      const [first, ...others] = nodeIds.map((id) => nodes.segmentBytes(id, folder));
      for (const [at, other] of others.entries()) {
        if (other.equals(first!)) continue;
        let position = 0;
        while (position < other.length && other[position] === first![position]) position++;
        unequal.push(
          `${folder}: node ${nodeIds[at + 1]} parts from node ${nodeIds[0]} at byte ${position} (${other.length} and ${first!.length} bytes)`,
        );
      }
    }
  }
  return unequal;
}
