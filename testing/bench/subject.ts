// What is measured: our broker, or Apache Kafka beside it, each a process of its own with a fresh data directory.
import { ourCommand, startByCommand } from "../compat/runner/broker.ts";
import { type RunningBroker, startKafka } from "../compat/runner/kafka.ts";
import type { Target } from "./load/drive.ts";

export type SubjectName = "blumfeld" | "kafka";
export type Subject = { readonly name: SubjectName; readonly broker: RunningBroker; readonly target: Target };

/** Deleted topics free the disk and the page cache for the next measure, on both sides. */
const benchProperties = { "log.segment.delete.delay.ms": 100, "num.partitions": 1, "log.retention.ms": -1 };

export async function startSubject(name: SubjectName): Promise<Subject> {
  const broker =
    name === "kafka"
      ? await startKafka({ heap: "1g", heapFixed: true, properties: benchProperties })
      : await startByCommand(ourCommand, { properties: benchProperties });
  const [host, port] = broker.bootstrap.split(":") as [string, string];
  return { name, broker, target: { host, port: Number(port) } };
}
