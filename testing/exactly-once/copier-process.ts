// One copier, to be killed and paused: consume, transform, produce, the group's offsets with the transaction. Now and then it aborts a transaction that
// is written already. Ends with exit code 3 where its producer is over, as a program under a supervisor would.

import { Consumer, type Message, Producer, TransactionError } from "@blumfeld/client";
import { seededRandom } from "@blumfeld/core/base";
import { type CopierPlan, groupId, topicIn, topicOut, transformed } from "./plan.ts";

const plan = JSON.parse(process.argv[2]!) as CopierPlan;
const { bootstrapServers, sessionTimeoutMs } = plan;
const random = seededRandom(plan.seed);
const pollMs = 200;

class OnPurpose extends Error {}

function say(what: string): void {
  process.stdout.write(`${what}\n`);
}

const consumer = new Consumer({
  ...{ bootstrapServers, groupId, clientId: `copier-${plan.index}`, groupProtocol: plan.groupProtocol },
  // With the consumer protocol they are the brokers' to set.
  ...(plan.groupProtocol === "classic"
    ? { sessionTimeoutMs, heartbeatIntervalMs: Math.ceil(sessionTimeoutMs / 6) }
    : {}),
  autoCommit: false,
  autoOffsetReset: "earliest",
  isolationLevel: "read_committed",
  pollRecordsMax: plan.messagesMax,
});
const producer = new Producer({
  bootstrapServers,
  clientId: `copier-${plan.index}`,
  transactionalId: `copier-${plan.index}`,
  transactionTimeoutMs: 5000,
  lingerMs: 0,
});

async function copy(messages: readonly Message[]): Promise<void> {
  await producer.transaction(async (tx) => {
    const records = messages.map((message) => ({
      topic: topicOut,
      partition: message.partition,
      key: message.key,
      value: transformed(message.valueText()!),
    }));
    const sent = tx.send(records);
    await tx.sendOffsets(consumer.positions(), consumer.groupMetadata());
    if (random.below(20) === 0) {
      await sent;
      throw new OnPurpose();
    }
  });
}

consumer.subscribe([topicIn]);
await producer.initTransactions();
for (;;) {
  const messages = await consumer.poll(pollMs);
  if (messages.length === 0) continue;
  try {
    await copy(messages.slice(0));
    say(`copied ${messages.length}`);
  } catch (error) {
    if (error instanceof TransactionError && error.fate === "fatal") {
      say(`over ${error.code}`);
      process.exit(3);
    }
    say(error instanceof OnPurpose ? "aborted on purpose" : `aborted ${String(error)}`);
    await consumer.seekToCommitted();
  }
}
