// AlterReplicaLogDirs and DescribeLogDirs over the wire: a replica on its way shows in both directories, then in its new one, and serves all along.
import { RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterEach, describe, expect, test } from "vitest";
import { BrokerFixture, type FixtureClient } from "../fixture/broker-fixture.ts";
import { followMovedReplica, takeDirectoryOffline } from "../partition/index.ts";

let fixture: BrokerFixture | null = null;
afterEach(async () => {
  await fixture?.stop();
  fixture = null;
});

async function start(bytesPerSecond: () => number): Promise<FixtureClient> {
  fixture = await BrokerFixture.start({
    topics: [{ name: "t", partitionCount: 2 }],
    logs: {
      directories: ["/data", "/other"],
      moveBytesPerSecond: bytesPerSecond,
      onMoved: (previous, next) => followMovedReplica(fixture!.broker.parts.partitions, previous, next),
    },
  });
  return fixture.client();
}

async function produce(client: FixtureClient, partition: number): Promise<number> {
  const builder = new RecordBatchBuilder();
  builder.append(1_700_000_000_000, "key", "value".repeat(100));
  const topicData = [{ name: "t", partitionData: [{ index: partition, records: builder.build() }] }];
  const answer = await client.ask(ApiKey.Produce, 9, { acks: -1, timeoutMs: 1000, topicData });
  return answer.responses[0]!.partitionResponses[0]!.errorCode;
}

async function move(client: FixtureClient, path: string, partition: number): Promise<number> {
  const dirs = [{ path, topics: [{ name: "t", partitions: [partition] }] }];
  const answer = await client.ask(ApiKey.AlterReplicaLogDirs, 2, { dirs });
  return answer.results[0]!.partitions[0]!.errorCode;
}

async function places(client: FixtureClient): Promise<string[]> {
  const answer = await client.ask(ApiKey.DescribeLogDirs, 4, { topics: null });
  return answer.results
    .flatMap(({ logDir, topics }) =>
      topics.flatMap(({ partitions }) =>
        partitions.map(
          ({ isFutureKey, offsetLag, partitionIndex }) =>
            `${partitionIndex} in ${logDir}${isFutureKey ? ` future, ${offsetLag} behind` : ""}`,
        ),
      ),
    )
    .sort();
}

describe("a replica's directory", () => {
  test("is changed behind the answer, and the topic is served all along", async () => {
    let rate = 1;
    const client = await start(() => rate);
    for (let index = 0; index < 20; index++) expect(await produce(client, 0)).toBe(0);
    const from = fixture!.logManager.log({ topic: "t", partition: 0 as never })!.directory;
    const to = from === "/data" ? "/other" : "/data";
    expect(await move(client, "/none", 0)).toBe(ErrorCode.LOG_DIR_NOT_FOUND);
    expect(await move(client, from, 0)).toBe(ErrorCode.NONE);
    expect(await move(client, to, 0)).toBe(ErrorCode.NONE);
    expect((await places(client)).filter((place) => place.startsWith("0"))).toEqual(
      expect.arrayContaining([`0 in ${from}`, expect.stringMatching(new RegExp(`^0 in ${to} future, \\d+ behind$`))]),
    );
    expect(await produce(client, 0)).toBe(0);
    // Called back, and sent again at full speed.
    expect(await move(client, from, 0)).toBe(ErrorCode.NONE);
    rate = Number.POSITIVE_INFINITY;
    expect(await move(client, to, 0)).toBe(ErrorCode.NONE);
    while ([...fixture!.logManager.replicaMoves()].length > 0) await new Promise((resolve) => setTimeout(resolve, 2));
    expect((await places(client)).filter((place) => place.startsWith("0"))).toEqual([`0 in ${to}`]);
    expect(await produce(client, 0)).toBe(0);
    expect(fixture!.logManager.log({ topic: "t", partition: 0 as never })!.logEndOffset).toBe(22);
  });

  test("that has failed answers 56, and the other goes on", async () => {
    const client = await start(() => Number.POSITIVE_INFINITY);
    const { logManager } = fixture!;
    const failed = logManager.log({ topic: "t", partition: 0 as never })!.directory;
    expect(logManager.log({ topic: "t", partition: 1 as never })!.directory).not.toBe(failed);
    expect(takeDirectoryOffline(fixture!.broker.parts.partitions, failed)).toBe(1);
    expect(await produce(client, 0)).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(await produce(client, 1)).toBe(0);
    expect(await move(client, "/other", 0)).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
  });
});
