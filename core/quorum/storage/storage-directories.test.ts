// What a node says of directories that are not its own, or not whole: which refusal, and that its message names the place and the value.

import { MemoryDisk } from "@blumfeld/host/disk";
import { beforeEach, describe, expect, test } from "vitest";
import { seededRandom } from "../../base/index.ts";
import { formatMetaProperties, parseMetaProperties } from "./meta-properties.ts";
import { formatQuorumState, parseQuorumState } from "./quorum-state.ts";
import { openStorage, type StorageOptions } from "./storage-directories.ts";

const directoryId = "N85IxdTFTpqIm9aPpAFvcA";
const kafkaText = `#\n#Sun Nov 22 07:48:28 UTC 2026\nnode.id=1\ndirectory.id=${directoryId}\nversion=1\ncluster.id=Z29sZGVuLWZpeHR1cmUtMQ\n`;

let disk: MemoryDisk;
beforeEach(() => {
  disk = new MemoryDisk();
  disk.makeDirectory("/a");
  disk.makeDirectory("/b");
});

function write(path: string, text: string): void {
  disk.writeFileAtomic(path, Buffer.from(text));
}

function open(options: Partial<StorageOptions> = {}) {
  return openStorage({
    ...{ disk, random: seededRandom(1), nodeId: 1, logDirectories: ["/a"], metadataDirectory: "/a" },
    ...options,
  });
}

test("a directory that Kafka's storage tool formatted is taken as it is", () => {
  write("/a/meta.properties", kafkaText);
  expect(open()).toEqual({
    kind: "opened",
    storage: {
      clusterId: "Z29sZGVuLWZpeHR1cmUtMQ",
      nodeId: 1,
      directories: [{ path: "/a", directoryId }],
      metadataDirectory: { path: "/a", directoryId },
      metadataPath: "/a/__cluster_metadata-0",
    },
  });
  expect(disk.readFile("/a/meta.properties").toString()).toBe(kafkaText);
});

test("a new directory beside a formatted one joins the cluster with an id of its own", () => {
  write("/a/meta.properties", kafkaText);
  const outcome = open({ logDirectories: ["/a", "/b"] });
  if (outcome.kind !== "opened") throw new Error(outcome.message);
  const other = outcome.storage.directories[1]!;
  expect(other.directoryId).not.toBe(directoryId);
  expect(parseMetaProperties(disk.readFile("/b/meta.properties"))).toEqual({
    kind: "read",
    properties: { clusterId: "Z29sZGVuLWZpeHR1cmUtMQ", nodeId: 1, directoryId: other.directoryId },
  });
});

describe("refused, with the place and the value in the message", () => {
  test.each<[string, string, string, () => ReturnType<typeof open>]>([
    ["unformatted", "unformatted", "/a", () => open()],
    [
      "the metadata log directory is another one",
      "unformatted",
      "/b",
      () => {
        write("/b/meta.properties", kafkaText);
        return open({ logDirectories: ["/a", "/b"] });
      },
    ],
    [
      "another node's",
      "wrong-node",
      "node.id=1",
      () => {
        write("/a/meta.properties", kafkaText);
        return open({ nodeId: 2 });
      },
    ],
    [
      "another cluster's",
      "foreign-cluster",
      "Z29sZGVuLWZpeHR1cmUtMQ",
      () => {
        write("/a/meta.properties", kafkaText);
        return open({ clusterId: "mine" });
      },
    ],
    [
      "of two clusters",
      "foreign-cluster",
      "/b/meta.properties",
      () => {
        write("/a/meta.properties", kafkaText);
        write(
          "/b/meta.properties",
          kafkaText.replace("cluster.id=Z", "cluster.id=Y").replace(directoryId, "tuE19BN9ef9hj9F0OTSAGg"),
        );
        return open({ logDirectories: ["/a", "/b"] });
      },
    ],
    [
      "a copied directory",
      "duplicate-directory-id",
      directoryId,
      () => {
        write("/a/meta.properties", kafkaText);
        write("/b/meta.properties", kafkaText);
        return open({ logDirectories: ["/a", "/b"] });
      },
    ],
    [
      "a metadata log in the wrong directory",
      "metadata-elsewhere",
      "/b",
      () => {
        write("/a/meta.properties", kafkaText);
        disk.makeDirectory("/b/__cluster_metadata-0");
        return open({ logDirectories: ["/a", "/b"] });
      },
    ],
    [
      "an older version",
      "damaged",
      "version=0",
      () => {
        write("/a/meta.properties", "version=0\nbroker.id=1\n");
        return open();
      },
    ],
    [
      "no uuid",
      "damaged",
      "directory.id=nonsense",
      () => {
        write("/a/meta.properties", kafkaText.replace(directoryId, "nonsense"));
        return open();
      },
    ],
    [
      "no number",
      "damaged",
      "node.id=one",
      () => {
        write("/a/meta.properties", kafkaText.replace("node.id=1", "node.id=one"));
        return open();
      },
    ],
  ])("%s", (_name, code, words, attempt) => {
    const outcome = attempt();
    expect(outcome).toMatchObject({ kind: "refused", code });
    if (outcome.kind === "refused") expect(outcome.message).toContain(words);
  });
});

test("what is written is what Kafka writes, but for the date", () => {
  const parsed = parseMetaProperties(Buffer.from(kafkaText));
  if (parsed.kind !== "read") throw new Error(parsed.problem);
  expect(formatMetaProperties(parsed.properties)).toBe(kafkaText.replace("#Sun Nov 22 07:48:28 UTC 2026\n", ""));
});

test.each([
  '{"leaderId":1,"leaderEpoch":2,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}',
  '{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}',
])("quorum-state as Kafka left it is written back the same: %s", (text) => {
  const parsed = parseQuorumState(Buffer.from(text));
  if (parsed.kind !== "read") throw new Error(parsed.kind);
  expect(formatQuorumState(parsed.state, JSON.parse(text).data_version)).toBe(text);
});

test.each(["", "[]x", "7", '{"data_version":2}', '{"data_version":1,"leaderId":"x"}'])(
  "quorum-state %j is damaged",
  (text) => {
    expect(parseQuorumState(Buffer.from(text)).kind).toBe("damaged");
  },
);
