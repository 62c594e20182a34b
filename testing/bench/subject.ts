// What is measured: our broker, or Apache Kafka beside it, each a process of its own with a fresh data directory.
import { ourCommand, startByCommand } from "../compat/runner/broker.ts";
import { type RunningBroker, startKafka } from "../compat/runner/kafka.ts";
import type { Target } from "./load/drive.ts";

export type SubjectName = "blumfeld" | "kafka";
export type Subject = {
  readonly name: SubjectName;
  /** Another one after a restart. */
  readonly broker: RunningBroker;
  readonly target: Target;
  /** Stops the broker and starts it on the same data and port; resolves when it answers, with the moment at which it was started. */
  restart(): Promise<number>;
  stop(): Promise<void>;
};

export type SubjectOptions = {
  readonly properties?: Readonly<Record<string, string | number>>;
  /** The command line that starts our broker. */
  readonly command?: string | undefined;
};

/** Deleted topics free the disk and the page cache for the next measure, on both sides. */
const benchProperties = { "log.segment.delete.delay.ms": 100, "num.partitions": 1, "log.retention.ms": -1 };

export async function startSubject(name: SubjectName, options: SubjectOptions = {}): Promise<Subject> {
  const properties = { ...benchProperties, ...options.properties };
  const start = (more: { dataDir?: string; port?: number }): Promise<RunningBroker> =>
    name === "kafka"
      ? startKafka({ heap: "1g", heapFixed: true, properties, ...more })
      : startByCommand(options.command ?? ourCommand, { properties, ...more });
  const first = await start({});
  const [host, portText] = first.bootstrap.split(":") as [string, string];
  const port = Number(portText);
  let broker = first;
  return {
    name,
    get broker() {
      return broker;
    },
    target: { host, port },
    async restart() {
      await broker.halt();
      if (broker !== first) broker.remove();
      const startedMs = performance.now();
      // The first broker's folder holds the data, so that it goes last.
      broker = await start({ dataDir: first.dataDir, port });
      return startedMs;
    },
    async stop() {
      await broker.stop();
      first.remove();
    },
  };
}
