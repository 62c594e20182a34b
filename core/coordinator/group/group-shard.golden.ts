// Groups and offsets as Apache Kafka's logs give them: replaying `__consumer_offsets` of its data directories makes what its clients saw.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { unpack } from "../../../testing/data-dirs/untar.ts";
import { missingShared, sharedPath } from "../../../testing/shared.ts";
import { readConsumerAssignment } from "../../protocol/index.ts";
import { ClassicGroup } from "./classic/classic-group.ts";
import type { ConsumerGroup } from "./consumer/consumer-group.ts";
import { TestShard } from "./fixture/test-shard.ts";

interface ExpectedGroup {
  readonly type: "Classic" | "Consumer" | "Share";
  readonly protocol: string;
  readonly state: string;
  readonly protocolData?: string;
  readonly groupEpoch?: number;
  readonly targetAssignmentEpoch?: number;
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId?: string;
    readonly clientId: string;
    readonly memberEpoch: number;
    readonly assignment: readonly string[];
  }[];
  readonly offsets?: Readonly<Record<string, { offset: string; metadata: string; leaderEpoch: number }>>;
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A shard for each partition of the topic, and the names of the cluster's topics by id. */
function replay(archive: string): {
  shards: TestShard[];
  expected: Record<string, ExpectedGroup>;
  names: Map<string, string>;
} {
  const folder = mkdtempSync(join(tmpdir(), "blumfeld-groups-"));
  folders.push(folder);
  unpack(sharedPath(`protocol/data-dirs/${archive}.tar.gz`), folder);
  const text = readFileSync(sharedPath(`protocol/data-dirs/${archive}.expected.json`), "utf8");
  const { clients } = JSON.parse(text) as {
    clients: { groups: Record<string, ExpectedGroup>; topics: Record<string, { topicId: string }> };
  };
  const names = new Map(Object.entries(clients.topics).map(([name, { topicId }]) => [topicId, name]));
  const data = join(folder, "data");
  const shards = readdirSync(data)
    .filter((name) => name.startsWith("__consumer_offsets-"))
    .map((name) => {
      const test = new TestShard();
      test.runtime.startLoading();
      const segments = readdirSync(join(data, name)).filter((file) => file.endsWith(".log"));
      for (const segment of segments.sort()) test.loadBatches(readFileSync(join(data, name, segment)));
      test.runtime.finishLoading(0);
      return test;
    });
  return { shards, expected: clients.groups, names };
}

function asKafkaSawIt(test: TestShard, names: ReadonlyMap<string, string>): [string, ExpectedGroup][] {
  return [...test.shard.groups].map((group) => {
    const offsets: Record<string, { offset: string; metadata: string; leaderEpoch: number }> = {};
    for (const [topic, partitions] of test.shard.store.ofGroup(group.groupId) ?? [])
      for (const [partition, { offset, metadata, leaderEpoch }] of partitions)
        offsets[`${topic}-${partition}`] = { offset: String(offset), metadata, leaderEpoch };
    const common = { protocol: group.protocolTypeName, state: group.stateName(), offsets };
    if (group instanceof ClassicGroup) {
      const members = [...group.members.values()].map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        memberEpoch: -1,
        assignment: readConsumerAssignment(member.assignment)
          .assignedPartitions.flatMap(({ topic, partitions }) => partitions.map((each) => `${topic}-${each}`))
          .sort(),
      }));
      const protocolData = group.state === "Stable" ? group.protocolName : "";
      return [group.groupId, { ...common, type: "Classic", protocolData, members } as ExpectedGroup];
    }
    const consumer = group as ConsumerGroup;
    const members = [...consumer.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      memberEpoch: member.memberEpoch,
      assignment: [...member.assigned]
        .flatMap(([topic, partitions]) => [...partitions.keys()].map((each) => `${names.get(topic)}-${each}`))
        .sort(),
    }));
    const epochs = { groupEpoch: consumer.groupEpoch, targetAssignmentEpoch: consumer.assignmentEpoch };
    return [group.groupId, { ...common, type: "Consumer", assignor: "uniform", ...epochs, members } as ExpectedGroup];
  });
}

describe.skipIf(missingShared).each(["data-clean", "data-killed"])("Kafka's %s", (archive) => {
  it("gives its groups, members and offsets back", () => {
    const { shards, expected, names } = replay(archive);
    const seen = Object.fromEntries(shards.flatMap((test) => asKafkaSawIt(test, names)));
    const wanted = Object.entries(expected).filter(([, { type }]) => type !== "Share");
    expect(wanted.length).toBeGreaterThanOrEqual(7);
    for (const [groupId, group] of wanted) {
      const { stable: _, ...rest } = group as ExpectedGroup & { stable?: boolean };
      expect(seen[groupId], groupId).toEqual(rest);
    }
  });

  it("keeps the open transaction's offset back", () => {
    const { shards } = replay(archive);
    const owner = shards.find(({ shard }) => shard.group("tx-group") !== undefined)!;
    expect(owner.shard.store.pendingOfGroup("tx-group")).toEqual([{ topic: "codec-gzip", partition: 0 }]);
    const ask = { groupId: "tx-group", memberId: null, memberEpoch: -1, isStableRequired: true };
    const answer = owner.shard.offsets.fetch({ ...ask, topics: [{ name: "codec-gzip", partitionIndexes: [0] }] });
    expect(answer.topics[0]!.partitions[0]).toMatchObject({ committedOffset: -1n, errorCode: 88 });
  });
});
