// Group commit, and power that goes: a broker on a faulty disk, asked over its own sockets. Whatever was acknowledged must be there after a loss of
// power that takes or reorders everything that was not synced. Without group commit the same losses do cost acknowledged records, which shows that
// the disk does what it should.
import { type Disk, seededRandom } from "@blumfeld/core/base";
import { RecordBatchBuilder } from "@blumfeld/core/model";
import { ApiKey } from "@blumfeld/core/protocol";
import { BrokerFixture } from "../../broker/fixture/broker-fixture.ts";
import { FaultyDisk } from "../disk/faulty-disk.ts";
import { servedRecords } from "../log/crash-run.ts";

export interface PowerLossReport {
  readonly losses: number;
  readonly acknowledged: number;
  readonly syncs: number;
  readonly lost: readonly string[];
}

const topicId = "AAAAAAAAAAAAAAAAAAAAAg";
const producerCount = 8;
const sessionMs = 60;

export async function runPowerLosses(options: {
  readonly losses: number;
  readonly seed: number;
  readonly isGroupCommit: boolean;
}): Promise<PowerLossReport> {
  const random = seededRandom(options.seed);
  let syncs = 0;
  const disk = new FaultyDisk({
    seed: options.seed,
    // A device takes its time, so that appends gather behind a sync.
    later: () => new Promise((resolve) => setTimeout(resolve, 1)),
    onOperation: (operation, path) => {
      if (operation === "sync" && path.endsWith(".log")) syncs++;
    },
  });
  const acknowledged = new Map<number, string>();
  const lost: string[] = [];
  let count = 0;
  for (let life = 0; life <= options.losses && lost.length === 0; life++) {
    const fixture = await startOn(disk, options.isGroupCommit);
    const log = fixture.logManager.log({ topic: "t", partition: 0 as never })!;
    const there = new Map(servedRecords(log).map(({ offset, value }) => [offset, value]));
    for (const [offset, value] of acknowledged)
      if (there.get(offset) !== value) lost.push(`offset ${offset} of ${value} is ${there.get(offset) ?? "gone"}`);
    // What is there now counts as written, acknowledged or not.
    acknowledged.clear();
    if (life < options.losses) count += await produce(fixture, disk, life, 20 + random.below(400), acknowledged);
    disk.crash({ writes: random.below(2) === 0 ? "all" : "any", names: random.below(2) === 0 ? "all" : "tail" });
    // The old process's sockets go; its files are dead already.
    await fixture.stop().catch(() => {});
  }
  return { losses: options.losses, acknowledged: count, syncs, lost: lost.slice(0, 20) };
}

function startOn(disk: Disk, isGroupCommit: boolean): Promise<BrokerFixture> {
  return BrokerFixture.start({
    disk,
    logs: { isGroupCommit },
    topics: [{ name: "t", id: topicId as never, config: { segmentBytes: 20_000 } }],
  });
}

/** Several connections send one record after another until the disk stops. Returns how many were acknowledged. */
async function produce(
  fixture: BrokerFixture,
  disk: FaultyDisk,
  life: number,
  operations: number,
  acknowledged: Map<number, string>,
): Promise<number> {
  disk.stopAfter(operations);
  const untilMs = performance.now() + sessionMs;
  let count = 0;
  const one = async (producer: number): Promise<void> => {
    const client = await fixture.client();
    for (let index = 0; performance.now() < untilMs && !disk.hasStopped; index++) {
      const value = `life ${life} producer ${producer} record ${index}`;
      const builder = new RecordBatchBuilder();
      builder.append(1_700_000_000_000, `key ${producer}`, value);
      const answer = await client.ask(ApiKey.Produce, 9, {
        acks: -1,
        timeoutMs: 1000,
        topicData: [{ name: "t", partitionData: [{ index: 0, records: builder.build() }] }],
      });
      const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!;
      if (errorCode !== 0) return;
      acknowledged.set(Number(baseOffset), value);
      count++;
    }
  };
  await Promise.all(Array.from({ length: producerCount }, (_unused, producer) => one(producer).catch(() => {})));
  return count;
}
