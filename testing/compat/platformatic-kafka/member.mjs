// @platformatic/kafka as a member of a group, by either protocol.
import { Consumer } from "@platformatic/kafka";
import { Holding, leaveWith, memberOptions, say } from "./member-events.mjs";

/** How often what it holds is looked up: the consumer protocol of this client tells no event when partitions come. */
const lookMs = 20;

async function runMember() {
  const options = memberOptions();
  const isClassic = options.protocol === "classic";
  const protocol = isClassic
    ? {
        sessionTimeout: Number(options.session),
        rebalanceTimeout: 30_000,
        heartbeatInterval: 500,
        protocols: [{ name: "roundrobin", version: 1 }],
      }
    : { groupProtocol: "consumer", groupRemoteAssignor: options.assignor };
  const consumer = new Consumer({
    clientId: options.client,
    bootstrapBrokers: [options.bootstrap],
    groupId: options.group,
    retries: 20,
    retryDelay: 100,
    maxWaitTime: 100,
    metadataMaxAge: 2000,
    ...protocol,
  });
  const holding = new Holding();
  const look = () => {
    const now = consumer.assignments?.find(({ topic }) => topic === options.topic)?.partitions ?? [];
    if (`${[...now].sort((a, b) => a - b)}` === `${holding.held}`) return;
    // It begins all its partitions anew at their committed offsets when some come or go.
    holding.revoked();
    holding.assigned(now);
  };
  consumer.on("consumer:group:rebalance", () => holding.revoked());
  if (isClassic) {
    consumer.on("consumer:group:join", ({ assignments, generationId }) =>
      holding.assigned(assignments.find(({ topic }) => topic === options.topic)?.partitions ?? [], generationId),
    );
  } else setInterval(look, lookMs);
  consumer.on("error", (error) => say("failed", { why: `${error}` }));
  const stream = await consumer.consume({
    topics: [options.topic],
    mode: "committed",
    fallbackMode: "earliest",
    autocommit: false,
    ...(isClassic ? protocol : {}),
  });
  say("started", { pid: process.pid });
  leaveWith(async () => {
    await stream.close();
    holding.revoked();
    await consumer.close();
  });
  stream.on("error", (error) => say("failed", { why: `${error}` }));
  for await (const message of stream) {
    say("records", { partition: message.partition, offsets: [Number(message.offset)] });
    await Promise.resolve(message.commit()).catch((error) => say("uncommitted", { why: `${error}` }));
  }
}

await runMember();
