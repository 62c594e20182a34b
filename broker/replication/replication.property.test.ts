// Random lives of three brokers: records produced with acks=all while brokers die, come back, stop hearing of the metadata and lose their controller. At
// the end every acknowledged record is there once, in its order, and all replicas have the same bytes.

import { seededRandom } from "@blumfeld/core/base";
import { fenceBroker, unfenceBroker } from "@blumfeld/core/controller";
import { RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { afterEach, expect, it } from "vitest";
import type { FixtureClient } from "../fixture/broker-fixture.ts";
import { DataCluster, until } from "../fixture/data-cluster.ts";

const seeds = process.env.BLUMFELD_SEEDS?.split(",").map(Number) ?? [1, 2, 3];
const steps = 60;

let cluster: DataCluster | null = null;
afterEach(async () => {
  await cluster?.stop();
  cluster = null;
});

function batch(value: string): Buffer {
  const builder = new RecordBatchBuilder();
  builder.append(Date.now(), null, `<${value}>`);
  return builder.build();
}

async function produce(client: FixtureClient, value: string): Promise<number> {
  const answer = await client.ask(ApiKey.Produce, 9, {
    ...{ acks: -1, timeoutMs: 3_000 },
    topicData: [{ name: "t", partitionData: [{ index: 0, records: batch(value) }] }],
  });
  return answer.responses[0]!.partitionResponses[0]!.errorCode;
}

it.each(seeds)(
  "keeps what it acknowledged (seed %i)",
  async (seed) => {
    const random = seededRandom(seed);
    const made = await DataCluster.start({
      logConfig: { t: { minInsyncReplicas: 2, segmentBytes: 2_000 } },
      properties: { "replica.lag.time.max.ms": 400, "replica.fetch.wait.max.ms": 100, "replica.fetch.backoff.ms": 20 },
    });
    cluster = made;
    made.createTopic("t", [[1, 2, 3]]);
    const partition = () => made.image.topics.partition("t", 0)!;
    const acknowledged: string[] = [];
    let count = 0;
    const inFlight: Promise<void>[] = [];
    const send = async (): Promise<void> => {
      const { leader } = partition();
      if (leader < 1 || !made.node(leader).isUp) return;
      const value = `v${count++}`;
      try {
        const client = await made.client(leader);
        if ((await produce(client, value)) === ErrorCode.NONE) acknowledged.push(value);
        client.connection.destroy();
      } catch {
        // The broker died under it: nobody knows.
      }
    };
    for (let step = 0; step < steps; step++) {
      const id = 1 + random.below(3);
      const node = made.node(id);
      switch (random.below(9)) {
        case 0:
          if (node.isUp) made.kill(id, { fence: random.below(2) === 0 });
          break;
        case 1:
        case 2:
          if (!node.isUp) await made.restart(id);
          break;
        case 3:
          if (node.heldBack === null) made.holdBack(id);
          else made.catchUp(id);
          break;
        case 4:
          if (!node.isUp) break;
          made.decide((context) => fenceBroker(context, id));
          made.decide((context) => unfenceBroker(context, id));
          break;
        case 5:
          made.isControllerUp = !made.isControllerUp;
          break;
        default:
          for (let some = random.below(4); some >= 0; some--) inFlight.push(send());
      }
      await new Promise((wake) => setTimeout(wake, random.below(60)));
    }
    made.isControllerUp = true;
    for (const id of [1, 2, 3]) {
      if (made.node(id).isUp) made.catchUp(id);
      else await made.restart(id);
    }
    await Promise.all(inFlight);
    for (const id of [1, 2, 3]) made.decide((context) => unfenceBroker(context, id));
    await until("all in sync", () => partition().isr.length === 3 && partition().leader > 0, 15_000);
    await send();
    const logs = () => [1, 2, 3].map((id) => made.log(id, "t"));
    await until(
      "equal ends",
      () => new Set(logs().flatMap((log) => [log.writtenEndOffset, log.highWatermark])).size === 1,
    );
    const [first, ...others] = [1, 2, 3].map((id) => made.bytes(id, "t"));
    for (const other of others) expect(other.equals(first!)).toBe(true);
    const stored = first!.toString("latin1");
    const missing = acknowledged.filter((value) => !stored.includes(`<${value}>`));
    expect(missing).toEqual([]);
    // The last one, at least, came after all was well again.
    expect(acknowledged.length).toBeGreaterThan(0);
    const errors = [1, 2, 3].flatMap((id) => made.node(id).lines.filter((line) => line.startsWith("error")));
    expect(errors).toEqual([]);
  },
  60_000,
);
