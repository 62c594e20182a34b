// XXH3 against hash4j, which Kafka uses: bytes `31 * index + 7` of each length, around every edge between the algorithm's parts; and groups' hashes
// against those that Apache Kafka wrote into its own data directories.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { unpack } from "../../../../testing/data-dirs/untar.ts";
import { missingShared, sharedPath } from "../../../../testing/shared.ts";
import type { Uuid } from "../../../base/index.ts";
import { TestShard } from "../fixture/test-shard.ts";
import type { GroupTopic, GroupTopics } from "../group-topics.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import { metadataHashOf } from "./metadata-hash.ts";
import { xxh3 } from "./xxh3.ts";

const vectors: readonly (readonly [length: number, hash: bigint])[] = [
  [0, 3244421341483603138n],
  [1, 5502495245947142431n],
  [2, -6349423698422726873n],
  [3, 1582743943441612892n],
  [4, -2549016526957988167n],
  [5, -5579736752565435579n],
  [8, -2394039629164210130n],
  [9, -3754995788605292611n],
  [15, 6079324691992009783n],
  [16, 9099606716676871632n],
  [17, 2345212530088924167n],
  [31, -6253418322204177903n],
  [32, 278953543771952198n],
  [33, 1844846513307983686n],
  [64, -2508381663727503547n],
  [65, -381843323958800864n],
  [96, -3295001992457868926n],
  [97, 6981672134384256435n],
  [128, -492175581222641016n],
  [129, -506823097681485574n],
  [143, -4363155518985508495n],
  [144, -2846555931076732770n],
  [160, -3960614606909185566n],
  [239, -3843338885400213691n],
  [240, -3690920546649497853n],
  [241, 809349449570470400n],
  [255, -8533440102264939110n],
  [256, -1403514104434996620n],
  [257, 1364326762217215065n],
  [320, 8349400071043498227n],
  [511, 1147450020860125067n],
  [512, -1170120971253711958n],
  [1023, -1093476622474739461n],
  [1024, 2575082683865311686n],
  [1025, -4566685497618039422n],
  [1088, -6815162950983329211n],
  [1089, -9069361620296297092n],
  [2048, 1870957339171033971n],
  [2049, 5784106328234771061n],
  [5000, 6169931020318013678n],
];

test.each(vectors)("%d bytes", (length, hash) => {
  expect(xxh3(Buffer.from(Array.from({ length }, (_, index) => (index * 31 + 7) & 0xff)))).toBe(hash);
});

test("text is UTF-16 with its length after it, numbers are little-endian", () => {
  // hash4j: putString("abé").putInt(258).putLong(0x0102030405060708)
  const bytes = Buffer.concat([
    Buffer.from("ab\u00e9", "utf16le"),
    Buffer.from([3, 0, 0, 0, 2, 1, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]),
  ]);
  expect(xxh3(bytes)).toBe(-5983962349172909512n);
});

interface KafkaTopic {
  readonly topicId: Uuid;
  readonly partitions: readonly unknown[] | Record<string, unknown>;
}

function topicsOf(topics: Record<string, KafkaTopic>): GroupTopics {
  const all = new Map(
    Object.entries(topics).map(([name, { partitions, topicId }]): [string, GroupTopic] => [
      name,
      { name, id: topicId, partitionCount: Object.keys(partitions).length, racksOf: () => [] },
    ]),
  );
  return {
    byName: (name) => all.get(name) ?? null,
    byId: (id) => [...all.values()].find((topic) => topic.id === id) ?? null,
    names: () => all.keys(),
    version: 1,
  };
}

describe.skipIf(missingShared).each(["data-clean", "data-killed"])("Kafka's %s", (archive) => {
  test("groups have the hash that Kafka wrote", () => {
    const folder = mkdtempSync(join(tmpdir(), "blumfeld-hashes-"));
    try {
      unpack(sharedPath(`protocol/data-dirs/${archive}.tar.gz`), folder);
      const text = readFileSync(sharedPath(`protocol/data-dirs/${archive}.expected.json`), "utf8");
      const topics = topicsOf((JSON.parse(text) as { clients: { topics: Record<string, KafkaTopic> } }).clients.topics);
      let count = 0;
      for (const name of readdirSync(join(folder, "data")).filter((one) => one.startsWith("__consumer_offsets-"))) {
        const shard = new TestShard();
        shard.runtime.startLoading();
        for (const file of readdirSync(join(folder, "data", name)).filter((one) => one.endsWith(".log")))
          shard.loadBatches(readFileSync(join(folder, "data", name, file)));
        for (const group of shard.shard.groups) {
          if (!(group instanceof ConsumerGroup)) continue;
          expect(metadataHashOf(group.subscribedTopics(), topics), group.groupId).toBe(group.metadataHash);
          count++;
        }
      }
      expect(count).toBeGreaterThanOrEqual(3);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
