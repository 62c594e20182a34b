import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/index.ts";
import type { TopicPartition } from "../model/index.ts";
import {
  decodeCleanShutdown,
  decodeLeaderEpochs,
  decodeOffsetCheckpoint,
  decodePartitionMetadata,
  encodeOffsetCheckpoint,
  MalformedCheckpoint,
} from "./checkpoint-files.ts";
import { fileNameOffset, offsetFileName, parsePartitionFolder, suffixedFolderName } from "./file-names.ts";

const partitionOf = (topic: string, partition: number): TopicPartition => ({ topic, partition }) as TopicPartition;

describe("checkpoint files", () => {
  test.each([
    "",
    "0\n",
    "1\n0\n",
    "0\n2\na 0 1\n",
    "0\n1\na 0 1\nb 0 2\n",
    "0\n1\na 0\n",
    "0\n1\na 0 -1\n",
    "0\n1\na 0 1.5\n",
    "0\n-1\n",
    "0\n1\na 0 99999999999999999999\n",
    "0\n99999999\n",
  ])("that are not whole are refused: %j", (text) => {
    expect(() => decodeOffsetCheckpoint(Buffer.from(text))).toThrow(MalformedCheckpoint);
  });

  test("hold many partitions, and none", () => {
    for (const count of [0, 1, 1000]) {
      const entries = Array.from({ length: count }, (_unused, index) => ({
        topicPartition: partitionOf(`topic-${index}`, index),
        offset: (index * 2 ** 30) as never,
      }));
      expect(decodeOffsetCheckpoint(encodeOffsetCheckpoint(entries))).toEqual(entries);
    }
    expect(decodeLeaderEpochs(Buffer.from("0\n2\n0 4\n2 10\n"))).toEqual([
      { epoch: 0, startOffset: 4 },
      { epoch: 2, startOffset: 10 },
    ]);
  });

  test("a partition's metadata and the clean-shutdown mark are read as old and cut files have them", () => {
    expect(decodePartitionMetadata(Buffer.from("version: 0\ntopic_id: dGEL9-LaR4iaaCsostL1dw"))).toBe(
      "dGEL9-LaR4iaaCsostL1dw",
    );
    expect(decodePartitionMetadata(Buffer.alloc(0))).toBeNull();
    expect(decodePartitionMetadata(Buffer.from("version: 0\ntopic_id: dGEL9"))).toBeNull();
    expect(decodeCleanShutdown(Buffer.from('{"version":0,"brokerEpoch":317}'))).toBe(317);
    for (const text of ["", "{", "null", "{}", '{"version":0,"brokerEpoch":"x"}'])
      expect(decodeCleanShutdown(Buffer.from(text))).toBe(-1);
  });
});

describe("names", () => {
  test("of folders", () => {
    const hex = "d9a43f212e7f401a851844da2b5361ff";
    const rows: [string, unknown][] = [
      ["a-0", { topicPartition: partitionOf("a", 0), state: "live" }],
      ["with-dashes-12", { topicPartition: partitionOf("with-dashes", 12), state: "live" }],
      [`gone-0.${hex}-delete`, { topicPartition: partitionOf("gone", 0), state: "delete" }],
      [`a.b-3.${hex}-future`, { topicPartition: partitionOf("a.b", 3), state: "future" }],
      [`a-1.${hex}-stray`, { topicPartition: partitionOf("a", 1), state: "stray" }],
      ["a", null],
      ["-0", null],
      ["a-00", null],
      ["a-x", null],
      ["a-1.short-delete", null],
      ["lost+found", null],
    ];
    for (const [name, expected] of rows) expect([name, parsePartitionFolder(name)]).toEqual([name, expected]);
    const long = suffixedFolderName(partitionOf("t".repeat(249), 12345), "delete", seededRandom(1));
    expect(long.length).toBe(255);
    expect(parsePartitionFolder(long)?.state).toBe("delete");
  });

  test("of files", () => {
    expect(offsetFileName(42, ".log")).toBe("00000000000000000042.log");
    expect(fileNameOffset("00000000000000000042.log.deleted")).toBe(42);
    expect(fileNameOffset("leader-epoch-checkpoint")).toBeNull();
    expect(fileNameOffset("99999999999999999999.log")).toBeNull();
  });
});
