// The broker of the run, to be killed: one node with its data on disk. Says "ready" when clients can connect.
import { createProcessLogger, startBroker } from "blumfeld";
import type { CrashBrokerPlan } from "./kill-loop.ts";

const { dataDirectory, port, properties } = JSON.parse(process.argv[2]!) as CrashBrokerPlan;

await startBroker({
  storage: "file",
  dataDirectory,
  port,
  logger: await createProcessLogger({ level: "error", isTerminal: false }),
  properties: {
    "log.retention.ms": -1,
    // Several segments are rolled, indexed, compacted and recovered in a run.
    "log.segment.bytes": 1_048_576,
    "log.cleaner.backoff.ms": 300,
    "log.segment.delete.delay.ms": 1000,
    "log.flush.offset.checkpoint.interval.ms": 500,
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.num.partitions": 1,
    ...properties,
  },
});
process.stdout.write("ready\n");
