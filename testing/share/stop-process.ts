// A broker in a process of its own that is closed while a share group's state is being initialized, again and again in vain where `blocked` is given:
// its state topic then wants more replicas than there are brokers. Prints how long the close took, and ends by itself.
import { randomUUID } from "node:crypto";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { startBroker } from "blumfeld";
import { createTopic } from "../hostile/victim.ts";
import { WireConnection } from "../wire/index.ts";
import { shareProperties } from "./share-member.ts";

const isBlocked = process.argv[2] === "blocked";
const factor = "share.coordinator.state.topic.replication.factor";
const broker = await startBroker({
  storage: "memory",
  port: 0,
  properties: { ...shareProperties, ...(isBlocked ? { [factor]: 3 } : {}) },
});
const connection = await WireConnection.open(broker.port);
await createTopic(connection, "jobs", {}, 20);
const join = { groupId: "jobs", memberId: randomUUID(), memberEpoch: 0, subscribedTopicNames: ["jobs"] };
for (;;) {
  await connection.ask(ApiKey.FindCoordinator, 6, { key: "", keyType: 0, coordinatorKeys: ["jobs"] });
  const { errorCode } = await connection.ask(ApiKey.ShareGroupHeartbeat, 1, join);
  if (errorCode === ErrorCode.NONE) break;
  await new Promise((wake) => setTimeout(wake, 20));
}
// Asked in vain a few times by then.
if (isBlocked) await new Promise((wake) => setTimeout(wake, 500));
connection.destroy();
const startedMs = performance.now();
await broker.close();
process.stdout.write(`closed ${Math.round(performance.now() - startedMs)}\n`);
