// The metadata logs that Apache Kafka 4.3 left: replayed, they give the state that Kafka's own clients saw; from the newest snapshot on
// they give the same as from the beginning; and the image written as records and read again is equal.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../../testing/shared.ts";
import { iterateBatches, iterateRecords } from "../../model/index.ts";
import { decodeMetadataRecord, encodeMetadataRecord } from "../../protocol/index.ts";
import { imageRecords } from "./image-writer.ts";
import { MetadataDelta } from "./metadata-delta.ts";
import { MetadataImage } from "./metadata-image.ts";
import { MetadataReplayer } from "./metadata-replayer.ts";

const scratch: string[] = [];
afterAll(() => {
  for (const path of scratch) rmSync(path, { recursive: true, force: true });
});

function unpack(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), "metadata-image-"));
  scratch.push(directory);
  execFileSync("tar", ["-C", directory, "-xzf", sharedPath(`protocol/data-dirs/${name}.tar.gz`)]);
  return join(directory, "data", "__cluster_metadata-0");
}

function replayFile(replayer: MetadataReplayer, path: string, after: number, epochOf?: number): void {
  const bytes = readFileSync(path);
  const delta = new MetadataDelta();
  for (const batch of iterateBatches(bytes)) {
    if (batch.isControl) continue;
    for (const record of iterateRecords(batch)) {
      if (record.offset <= after) continue;
      replayer.replay(decodeMetadataRecord(record.value!), record.offset, epochOf ?? batch.leaderEpoch, delta);
    }
  }
}

/** Everything in the image as plain data in a fixed order. */
export function plain(image: MetadataImage): unknown {
  const records = [...imageRecords(image)].map((record) =>
    JSON.stringify(record, (_, value) => {
      if (typeof value === "bigint") return String(value);
      return value?.type === "Buffer" ? Buffer.from(value.data).toString("hex") : value;
    }),
  );
  return records.sort();
}

function rewritten(image: MetadataImage): MetadataImage {
  const again = new MetadataImage();
  for (const record of imageRecords(image)) {
    again.replay(decodeMetadataRecord(encodeMetadataRecord(record)), new MetadataDelta());
  }
  return again;
}

const sets = ["data-clean", "data-killed"] as const;

describe.skipIf(missingShared)("the metadata log of Apache Kafka", () => {
  test.each(sets)("%s gives the state that Kafka's clients saw", (name) => {
    const directory = unpack(name);
    const replayer = new MetadataReplayer(new MetadataImage());
    replayFile(replayer, join(directory, "00000000000000000000.log"), -1);
    const { image } = replayer;
    const expected = JSON.parse(readFileSync(sharedPath(`protocol/data-dirs/${name}.expected.json`), "utf8")).clients;

    const topics = Object.fromEntries(
      [...image.topicsByName.values()].map((topic) => [
        topic.name,
        {
          topicId: topic.id,
          dynamicConfigs: Object.fromEntries(image.configs.topic(topic.name)),
          // Before the stop the one broker led and was in sync everywhere; the log goes on to its leaving.
          partitions: topic.partitions.map(({ replicas }, partition) => ({ partition, replicas })),
        },
      ]),
    );
    const expectedTopics = Object.fromEntries(
      Object.entries<ExpectedTopic>(expected.topics).map(([topic, { topicId, dynamicConfigs, partitions }]) => [
        topic,
        {
          topicId,
          dynamicConfigs,
          partitions: partitions.map(({ partition, replicas }) => ({ partition, replicas })),
        },
      ]),
    );
    expect(topics).toEqual(expectedTopics);

    const { "kraft.version": _, ...features } = expected.features;
    expect(Object.fromEntries(image.features.finalized)).toEqual(features);
    expect(Object.fromEntries(image.configs.broker("1"))).toEqual(expected.brokerConfigs["1"]);
    expect(Object.fromEntries(image.configs.broker(""))).toEqual(expected.brokerConfigs["(default)"]);
    const named = (type: number) =>
      Object.fromEntries(
        image.configs.names(type).map((each) => [each, Object.fromEntries(image.configs.of(type, each))]),
      );
    expect(named(32)).toEqual(expected.groupConfigs);
    expect(named(16)).toEqual(expected.clientMetricsConfigs);

    const quotas = [...image.quotas.byEntity.values()].map(({ entity, values }) => ({
      entity: Object.fromEntries(entity),
      values: Object.fromEntries(values),
    }));
    expect(quotas).toHaveLength(expected.quotas.length);
    expect(quotas).toEqual(expect.arrayContaining(expected.quotas));
    expect(
      [...image.acls.byId.values()].map(({ principal, resourceName }) => [resourceName, principal]).sort(),
    ).toEqual(expected.acls.map((line: string) => line.split("\t").slice(2, 4)).sort());
    const users: Record<string, string[]> = {};
    for (const [mechanism, credentials] of image.scram.credentials) {
      for (const [user, { iterations }] of credentials) {
        users[user] ??= [];
        users[user].push(`SCRAM-SHA-${mechanism === 1 ? 256 : 512} ${iterations}`);
        users[user].sort();
      }
    }
    expect(users).toEqual(expected.scramUsers);
    expect(
      [...image.tokens.byId.values()].map((token) => [token.tokenId, token.owner, String(token.maxTimestampMs)]),
    ).toEqual(
      expected.delegationTokens.map((token: Record<string, string>) => [
        token.tokenId,
        token.owner,
        token.maxTimestamp,
      ]),
    );
  });

  test.each(sets)("%s from its newest snapshot on gives the same as from the beginning", (name) => {
    const directory = unpack(name);
    const whole = new MetadataReplayer(new MetadataImage());
    replayFile(whole, join(directory, "00000000000000000000.log"), -1);
    const snapshot = readdirSync(directory)
      .filter((file) => file.endsWith(".checkpoint") && /^\d{20}-\d{10}/.test(file))
      .sort()
      .at(-1)!;
    const later = new MetadataReplayer(new MetadataImage());
    replayFile(later, join(directory, snapshot), -1);
    replayFile(later, join(directory, "00000000000000000000.log"), Number(snapshot.slice(0, 20)) - 1);
    expect(plain(later.image)).toEqual(plain(whole.image));
    expect(later.image.highestOffset).toBe(whole.image.highestOffset);
  });

  test.each(sets)("%s written as records and read again is the same image", (name) => {
    const directory = unpack(name);
    const replayer = new MetadataReplayer(new MetadataImage());
    replayFile(replayer, join(directory, "00000000000000000000.log"), -1);
    expect(plain(rewritten(replayer.image))).toEqual(plain(replayer.image));
    expect(plain(replayer.image.copy())).toEqual(plain(replayer.image));
  });
});

interface ExpectedTopic {
  topicId: string;
  dynamicConfigs: Record<string, string>;
  partitions: { partition: number; replicas: number[] }[];
}
