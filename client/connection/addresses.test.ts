import { expect, test } from "vitest";
import { parseBootstrapServers } from "./addresses.ts";

test.each([
  ["localhost:9092", [{ host: "localhost", port: 9092 }]],
  [
    " a:1 , b:2 ,,a:1",
    [
      { host: "a", port: 1 },
      { host: "b", port: 2 },
    ],
  ],
  ["[::1]:9092", [{ host: "::1", port: 9092 }]],
  ["PLAINTEXT://kafka-1.example:19092", [{ host: "kafka-1.example", port: 19092 }]],
])("%s", (servers, addresses) => {
  expect(parseBootstrapServers(servers)).toEqual({ addresses });
});

test.each([["localhost"], ["a:0"], ["a:65536"], ["::1:9092"], ["a b:1"], [""], ["a:1,b"]])(
  "%j names what is wrong",
  (servers) => {
    const parsed = parseBootstrapServers(servers);
    expect("problem" in parsed && parsed.problem).toMatch(/^bootstrapServers/);
  },
);
