// The comparison of replicas has to see one wrong byte, a missing batch and an empty log.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { unequalReplicas } from "./replicas.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "blumfeld-replicas-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function batch(offset: number, text: string): Buffer {
  const bytes = Buffer.alloc(12 + text.length);
  bytes.writeBigInt64BE(BigInt(offset));
  bytes.writeInt32BE(text.length, 8);
  bytes.write(text, 12);
  return bytes;
}

function replica(name: string, ...segments: readonly Buffer[][]): string {
  const path = join(directory, name, "t-0");
  mkdirSync(path, { recursive: true });
  for (const [at, batches] of segments.entries())
    writeFileSync(join(path, `${`${at}`.padStart(20, "0")}.log`), Buffer.concat(batches));
  return join(directory, name);
}

test("the same batches in other segments, with zeros behind them, are equal", () => {
  const one = replica("one", [batch(0, "abc"), batch(1, "def")]);
  const two = replica("two", [batch(0, "abc")], [batch(1, "def"), Buffer.alloc(64)]);
  expect(unequalReplicas([one, two], "t-0")).toBe("");
});

test("a byte that differs is named, and not where it lies beyond the end", () => {
  const one = replica("one", [batch(0, "abc"), batch(1, "def")]);
  const two = replica("two", [batch(0, "abc"), batch(1, "deg")]);
  expect(unequalReplicas([one, two], "t-0")).toContain("replica 2 parts from the first at byte 29 (30 and 30 bytes)");
  expect(unequalReplicas([one, two], "t-0", 1)).toBe("");
});

test("a batch that is missing and a log without any are named", () => {
  const one = replica("one", [batch(0, "abc"), batch(1, "def")]);
  const two = replica("two", [batch(0, "abc")]);
  expect(unequalReplicas([one, two], "t-0")).toContain("(30 and 15 bytes)");
  expect(unequalReplicas([replica("none"), two], "t-0")).toContain("nothing in the first");
});
