import { describe, expect, it } from "vitest";
import { fixtureBigBytes, fixtureRecords, fixtureTopics, type RecordTrait, traitsOf } from "./fixture.ts";

const every: RecordTrait[] = [
  "nullKey",
  "emptyKey",
  "binaryKey",
  "nullValue",
  "emptyValue",
  "binaryValue",
  "nullHeader",
  "emptyHeader",
  "binaryHeader",
  "repeatedHeader",
];

describe("fixture", () => {
  it("is the same at each call, so that a failure can be run again", () => {
    expect(fixtureRecords()).toEqual(fixtureRecords());
  });

  it("holds a record of every trait and one of a megabyte", () => {
    const records = fixtureRecords();
    const traits = new Set(records.flatMap((record) => [...traitsOf(record)]));
    expect(every.filter((trait) => !traits.has(trait))).toEqual([]);
    expect(records.some((record) => Buffer.from(record.value ?? "", "base64").length === fixtureBigBytes)).toBe(true);
  });

  it("leaves out exactly what a client cannot write", () => {
    const records = fixtureRecords();
    const client = { name: "c", codecs: ["none", "gzip"], omits: ["nullHeader"] as const, timestamps: true };
    const topics = fixtureTopics(client, records, "-7");
    expect(topics.map((topic) => topic.name)).toEqual(["compat-c-none-7", "compat-c-gzip-7"]);
    const kept = new Set(topics[0]!.records);
    for (const [index, record] of records.entries()) expect(kept.has(index)).toBe(!traitsOf(record).has("nullHeader"));
  });
});
