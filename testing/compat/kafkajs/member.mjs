// kafkajs as a member of a classic group with Java clients: its assignor bears their name and speaks their protocol.
import kafkajs from "kafkajs";
import { Holding, leaveWith, memberOptions, say } from "./member-events.mjs";

const { AssignerProtocol, Kafka, logLevel } = kafkajs;

/** Every member of these groups subscribes to the same topics, so that partitions go round the members in the order of their ids. */
const roundRobin = ({ cluster }) => ({
  name: "roundrobin",
  version: 0,
  protocol: ({ topics }) => ({
    name: "roundrobin",
    metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
  }),
  async assign({ members, topics }) {
    const ids = members.map(({ memberId }) => memberId).sort();
    const given = new Map(ids.map((id) => [id, {}]));
    let next = 0;
    for (const topic of topics) {
      const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
      for (const partition of partitions.sort((a, b) => a - b)) {
        const own = given.get(ids[next++ % ids.length]);
        own[topic] = [...(own[topic] ?? []), partition];
      }
    }
    return [...given].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 0, assignment, userData: Buffer.alloc(0) }),
    }));
  },
});

async function runMember() {
  const options = memberOptions();
  const kafka = new Kafka({
    clientId: options.client,
    brokers: [options.bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, maxRetryTime: 1000, retries: 50 },
  });
  const consumer = kafka.consumer({
    groupId: options.group,
    sessionTimeout: Number(options.session),
    rebalanceTimeout: 30_000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 100,
    partitionAssigners: [roundRobin],
  });
  const holding = new Holding();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
    holding.assigned(payload.memberAssignment[options.topic] ?? []),
  );
  consumer.on(consumer.events.REBALANCING, () => holding.revoked());
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    say("crashed", { why: `${payload.error}` });
    holding.revoked();
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [options.topic], fromBeginning: true });
  say("started", { pid: process.pid });
  leaveWith(() => consumer.disconnect());
  await consumer.run({
    eachBatchAutoResolve: false,
    autoCommit: false,
    async eachBatch({ batch, resolveOffset, heartbeat, isStale, isRunning }) {
      if (isStale() || !isRunning()) return;
      const offsets = batch.messages.map(({ offset }) => Number(offset));
      say("records", { partition: batch.partition, offsets });
      const last = offsets[offsets.length - 1];
      await consumer
        .commitOffsets([{ topic: options.topic, partition: batch.partition, offset: `${last + 1}` }])
        .catch((error) => {
          say("uncommitted", { why: `${error}` });
          throw error;
        });
      resolveOffset(`${last}`);
      await heartbeat();
    },
  });
}

await runMember();
