// The generated code is current, released versions are as they were, and what cannot be a declaration is refused.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { addFrozen, type Frozen, frozenDifferences } from "./freeze.ts";
import { filesNotCurrent, generate, readDeclarations } from "./main.ts";
import type { Declaration } from "./model.ts";
import { parseDeclaration } from "./parse.ts";

const frozen = JSON.parse(
  readFileSync(fileURLToPath(new URL("../../core/protocol/frozen.json", import.meta.url)), "utf8"),
) as Frozen;

describe("generated code", () => {
  const declarations = readDeclarations();

  test("is current", () => expect(filesNotCurrent(generate(declarations))).toEqual([]));

  test("a file that is missing, changed or left over is named", () => {
    const files = generate(declarations);
    files.set("01-fetch.ts", "changed");
    files.set("missing.ts", "");
    files.delete("00-produce.ts");
    expect(filesNotCurrent(files)).toEqual(["00-produce.ts", "01-fetch.ts", "missing.ts"]);
  });

  test("released versions are frozen", () => expect(frozenDifferences(frozen, declarations)).toEqual([]));
});

describe("frozen versions", () => {
  const original = "record 7 ThingRecord 0-1 flexible 0+\n  name  string  0+\n  size  int32   1+ tag 0 = -1\n";
  const parse = (text: string): Declaration[] => [parseDeclaration("metadata/07-thing", text)];
  const differences = (text: string): string[] => {
    return frozenDifferences(addFrozen({}, parse(original)), parse(text));
  };

  test("the same text, or another comment, is no difference", () => {
    expect(differences(original)).toEqual([]);
    expect(differences(`# a word\n${original}`)).toEqual([]);
  });
  test("a new version leaves the old ones as they are", () => {
    const added = original.replace("0-1", "0-2").concat("  rack  string  2+ null\n");
    expect(differences(added)).toEqual(["ThingRecord version 2 is new: run `npm run codegen -- --freeze`"]);
  });
  test.each([
    ["a type", original.replace("int32 ", "int64 "), ["1"]],
    ["a tag's default", original.replace("-1\n", "-2\n"), ["1"]],
    ["null allowed", original.replace("string  0+", "string  0+ null"), ["0", "1"]],
    ["a field gone", original.replace(/ {2}size.*\n/, ""), ["1"]],
    ["a version gone", original.replace("0-1", "0").replace(/ {2}size.*\n/, ""), ["1"]],
  ])("%s", (_what, text, versions) => {
    expect(differences(text).filter((line) => line.includes("has changed"))).toEqual(
      versions.map(
        (version) => `ThingRecord version ${version} has changed: add a version, do not edit a released one`,
      ),
    );
  });
});

describe("what is refused", () => {
  const head = "message Thing 0-1 flexible 1+\n";
  test.each([
    ["an unknown type", `${head}  name  text  0+`, "there is no type text"],
    ["an unknown word", `${head}  name  string  0+ optional`, "what is optional?"],
    ["no versions", `${head}  name  string`, "NAME TYPE VERSIONS"],
    ["a field in no version", `${head}  name  string  4+`, "in no version of the message"],
    ["a struct without fields", `${head}  part  Part  0+`, "Part has no fields here or above"],
    [
      "a struct declared twice",
      `${head}  one  Part  0+\n    a  int8  0+\n  two  Part  0+\n    a  int8  0+`,
      "Part is declared above",
    ],
    ["a request without an api", "request 0", "request without an api"],
    ["odd indentation", `${head}   name  string  0+`, "indent by two spaces"],
    ["an open range of versions", "message Thing 0+", "which versions?"],
  ])("%s", (_what, text, reason) => expect(() => parseDeclaration("thing", text)).toThrow(reason));
});
