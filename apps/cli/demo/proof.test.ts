// The proof must fail for every way in which records can go wrong.
import { Message } from "@blumfeld/client";
import { RecordBatchBuilder, RecordBatchView, RecordCursor } from "@blumfeld/core/model";
import { describe, expect, test } from "vitest";
import { departureMs, readFlights } from "./flights.ts";
import { Proof, type Sent } from "./proof.ts";

const sent: Sent[] = Array.from({ length: 20 }, (_, index) => ({
  key: `k${index % 3}`,
  value: `v${index}`,
  timestamp: index,
}));

interface Came extends Sent {
  readonly number: number;
  readonly partition: number;
}
const came = sent.map((one, number): Came => ({ ...one, number, partition: number % 3 }));

function verdict(messages: readonly Came[]): string {
  const proof = new Proof(sent);
  for (const { key, value, timestamp, number, partition } of messages) {
    const builder = new RecordBatchBuilder();
    builder.append(timestamp, key, value, [{ key: "number", value: String(number) }]);
    const view = new RecordBatchView(builder.build());
    const cursor = new RecordCursor().openRecords(view, view.recordsBytes);
    cursor.next();
    proof.check(new Message("t", partition, cursor));
  }
  proof.finish();
  return proof.problems.join("; ");
}

describe("the proof", () => {
  test("holds for what was sent, whatever the order between keys", () => {
    const byKey = [0, 1, 2].flatMap((partition) => came.filter((one) => one.partition === partition));
    expect(verdict(byKey)).toBe("");
  });

  test.each([
    ["a lost record", came.slice(1), /record 0 never came back/],
    ["a repeated one", [...came, came[19]!], /record 19 came twice/],
    [
      "disorder within a key",
      [came[3]!, came[0]!, ...came.slice(1, 3), ...came.slice(4)],
      /record 0 of k0 came after 3/,
    ],
    ["another value", came.map((one) => (one.number === 5 ? { ...one, value: "x" } : one)), /value of record 5/],
    ["another key", came.map((one) => (one.number === 5 ? { ...one, key: "x" } : one)), /key of record 5/],
    ["another time", came.map((one) => (one.number === 5 ? { ...one, timestamp: 99 } : one)), /timestamp of record 5/],
    [
      "a key in two partitions",
      came.map((one) => (one.number === 5 ? { ...one, partition: 0 } : one)),
      /k2 is in partition/,
    ],
    ["a record nobody sent", [...came, { ...came[0]!, number: 77 }], /never sent/],
  ])("fails for %s", (_name, messages, problem) => {
    expect(verdict(messages)).toMatch(problem);
  });
});

test("the flights are twenty thousand, in the order of departure, of the first quarter of 2001", () => {
  const times = readFlights().map(departureMs);
  expect(times).toHaveLength(20_000);
  expect(times.every((time, index) => index === 0 || time >= times[index - 1]!)).toBe(true);
  expect([times[0], Math.ceil(times[19_999]! / 86_400_000) * 86_400_000]).toEqual([
    Date.UTC(2001, 0, 1, 0, 47),
    Date.UTC(2001, 3, 1),
  ]);
});
