// Kafka's own choice of partitions: the hashes of its producer's murmur2 for keys of every length.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { partitionOf } from "./partitioner.ts";

describe.skipIf(missingShared)("partitions of keys", () => {
  const lines = missingShared
    ? []
    : readFileSync(sharedPath("protocol/murmur2.tsv"), "utf8").trimEnd().split("\n").slice(1);

  test("bytes and text give the partition that Java's producer gives", () => {
    expect(lines.length).toBeGreaterThan(10);
    let textCount = 0;
    for (const line of lines) {
      const [hex, , positive, ofSix] = line.split("\t");
      const key = Buffer.from(hex!, "hex");
      expect(partitionOf(key, 6)).toBe(Number(ofSix));
      expect(partitionOf(key, 1000)).toBe(Number(positive) % 1000);
      if (!Buffer.from(key.toString("utf8")).equals(key)) continue;
      textCount++;
      expect(partitionOf(key.toString("utf8"), 6)).toBe(Number(ofSix));
    }
    expect(textCount).toBeGreaterThan(0);
  });
});
