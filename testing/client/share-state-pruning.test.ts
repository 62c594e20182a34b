// The log of share groups' state is cut back while groups work, and what is left tells the next broker all: of a group that works on, and of one that
// has done nothing since long before the cut.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Admin, Producer, ShareConsumer, type ShareMessage } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { expect, test } from "vitest";

const stateTopic = "__share_group_state";

test("cut back, and nothing is forgotten or done twice", { timeout: 60_000 }, async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "share-pruning-"));
  const start = (): Promise<RunningBroker> =>
    startBroker({
      ...{ dataDirectory, port: 0 },
      properties: {
        "group.share.min.heartbeat.interval.ms": 50,
        "group.share.heartbeat.interval.ms": 100,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.prune.interval.ms": 200,
      },
    });
  const memberOf = (topic: string, bootstrapServers: string): ShareConsumer => {
    const consumer = new ShareConsumer({
      ...{ bootstrapServers, groupId: topic, fetchWaitMsMax: 100, pollRecordsMax: 5, acknowledgement: "explicit" },
    });
    consumer.subscribe([topic]);
    return consumer;
  };
  const polled = async (member: ShareConsumer): Promise<ShareMessage[]> => {
    for (let attempt = 0; attempt < 40; attempt++) {
      const messages = await member.poll(500);
      if (messages.length > 0) return messages;
    }
    return [];
  };
  try {
    let hotCount = 0;
    {
      await using broker = await start();
      const bootstrapServers = broker.bootstrap;
      await using admin = new Admin({ bootstrapServers });
      await using producer = new Producer({ bootstrapServers });
      for (const topic of ["cold", "hot"]) {
        await admin.createTopic({ name: topic, partitions: 1 });
        const changes = [{ name: "share.auto.offset.reset", operation: "set", value: "earliest" }] as const;
        await admin.alterConfigs([{ type: "group", name: topic, changes }]);
        await producer.send(Array.from({ length: 2000 }, (_, at) => ({ topic, partition: 0, value: `${at}` })));
      }
      {
        await using member = memberOf("cold", bootstrapServers);
        const messages = await polled(member);
        // Every other one: what is left are ranges, and no single start offset.
        for (const message of messages) {
          if (message.offset % 2 === 0) message.accept();
          else message.release();
        }
        expect(messages.map(({ offset }) => offset).slice(0, 5)).toEqual([0, 1, 2, 3, 4]);
        await member.commit();
      }
      await using member = memberOf("hot", bootstrapServers);
      const startOf = async (): Promise<number> => {
        const [found] = await admin.listOffsets([{ topic: stateTopic, partition: 0, spec: "earliest" }]);
        return found!.offset;
      };
      const untilMs = performance.now() + 30_000;
      while ((await startOf()) < 200 && performance.now() < untilMs) {
        for (const message of await polled(member)) {
          message.accept();
          hotCount++;
          await member.commit();
        }
      }
      expect(await startOf()).toBeGreaterThanOrEqual(200);
    }
    await using broker = await start();
    await using cold = memberOf("cold", broker.bootstrap);
    const left = await polled(cold);
    expect(left.map(({ offset }) => offset).slice(0, 2)).toEqual([1, 3]);
    await using hot = memberOf("hot", broker.bootstrap);
    expect((await polled(hot))[0]?.offset).toBe(hotCount);
  } finally {
    rmSync(dataDirectory, { recursive: true, force: true });
  }
});
