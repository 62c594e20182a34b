// The broker of the run, to be killed: one node with its data on disk. Says "ready" when clients can connect.
import { createProcessLogger, startBroker } from "blumfeld";
import type { BrokerPlan } from "./plan.ts";

const { dataDirectory, port } = JSON.parse(process.argv[2]!) as BrokerPlan;

await startBroker({
  storage: "file",
  dataDirectory,
  port,
  logger: await createProcessLogger({ level: "warn", isTerminal: false }),
  properties: {
    "group.min.session.timeout.ms": 1000,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.session.timeout.ms": 1000,
    "group.consumer.min.heartbeat.interval.ms": 100,
    "group.consumer.heartbeat.interval.ms": 200,
    "group.initial.rebalance.delay.ms": 0,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "log.retention.ms": -1,
    // Several segments are rolled, indexed and recovered in a run.
    "log.segment.bytes": 4_194_304,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
  },
});
process.stdout.write("ready\n");
