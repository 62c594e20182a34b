// What java.util.Properties read from the same file, and the way back through our own writer.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatProperties, parseProperties } from "./properties-file.ts";

const testdata = new URL("testdata/", import.meta.url);

test("a file full of corners is read as Java reads it", () => {
  const golden = JSON.parse(readFileSync(new URL("properties.golden.jsonl", testdata), "utf8"));
  const pairs = parseProperties(readFileSync(new URL(golden.file, testdata)));
  expect(Object.fromEntries(pairs.map(({ name, value }) => [name, value]))).toEqual(golden.pairs);
});

test("UTF-8 is read as such", () => {
  expect(parseProperties(Buffer.from("name=Zürich €\n"))).toEqual([{ name: "name", value: "Zürich €", line: 1 }]);
});

test("lines are counted from one, comments and continuations included", () => {
  const pairs = parseProperties("# c\na=1\\\n  2\n\nb=3\n");
  expect(pairs).toEqual([
    { name: "a", value: "12", line: 2 },
    { name: "b", value: "3", line: 5 },
  ]);
});

test("what is written is read again", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }))), (pairs) => {
      const read = parseProperties(formatProperties(pairs)).map(({ name, value }) => [name, value]);
      expect(read).toEqual(pairs);
    }),
  );
});
