// blum produce and blum consume, against a broker in this process.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Admin } from "@blumfeld/client";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CliIo } from "../io.ts";
import { runBlum } from "../main.ts";

let broker: RunningBroker;
let folder: string;

beforeAll(async () => {
  broker = await startBroker({ storage: "memory", host: "127.0.0.1", port: 0 });
  folder = mkdtempSync(join(tmpdir(), "blumfeld-records-"));
  const admin = new Admin({ bootstrapServers: broker.bootstrap });
  const topics = ["lines", "copies", "numbers", "group", "ends"].map((name) => ({ name, partitions: 3 }));
  for (const { error } of await admin.createTopics(topics)) if (error !== null) throw error;
  await admin.close();
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await broker.close();
});

interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

async function blum(args: readonly string[], input?: string, stopAfterMs?: number): Promise<Run> {
  let out = "";
  let error = "";
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(input ?? "");
  }
  const io: CliIo = {
    out(text) {
      out += text;
    },
    error(text) {
      error += text;
    },
    input: source(),
    isTerminal: false,
    columnCount: 80,
    environment: { BLUM_BOOTSTRAP: broker.bootstrap },
    onStopSignal(callback) {
      const timer = stopAfterMs === undefined ? undefined : setTimeout(() => callback("SIGINT"), stopAfterMs);
      return () => clearTimeout(timer);
    },
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  const code = await runBlum(args, io);
  return { code, out, error };
}

test("lines go out and come back, keys, nulls and headers with them", async () => {
  const sent = await blum(
    ["produce", "lines", "-K", ":", "-Z", "-p", "1", "-H", "src=test", "-z", "lz4"],
    "a:1\nb:2\n\nc:\nd",
  );
  expect(sent).toMatchObject({ code: 0, error: "" });
  const read = await blum(["consume", "lines", "-e", "-f", "%p@%o %k=%s %h\\n", "--null-text", "NULL"]);
  expect(read.out).toBe(
    "1@0 a=1 src=test\n1@1 b=2 src=test\n1@2 NULL=NULL src=test\n1@3 c=NULL src=test\n1@4 NULL=d src=test\n",
  );
  expect(read.code).toBe(0);
});

test("JSON lines copy a topic exactly", async () => {
  const first = await blum(["consume", "lines", "-e", "--json"]);
  const copied = await blum(["produce", "copies", "--input", "json", "--json"], first.out);
  expect(JSON.parse(copied.out)).toMatchObject({ records: 5 });
  const second = await blum(["consume", "copies", "-e", "--json"]);
  expect(second.out).toBe(first.out.replaceAll('"lines"', '"copies"'));
});

test("many lines from a file arrive whole", async () => {
  const path = join(folder, "numbers.txt");
  const lines = Array.from({ length: 30_000 }, (_, index) => `${index}`);
  writeFileSync(path, lines.join("\n"));
  expect((await blum(["produce", "numbers", path, "-z", "zstd"])).code).toBe(0);
  const { out } = await blum(["consume", "numbers", "-e"]);
  const read = out
    .trimEnd()
    .split("\n")
    .sort((one, other) => Number(one) - Number(other));
  expect(read).toEqual(lines);
});

describe("places", () => {
  beforeAll(async () => {
    for (const [index, day] of ["2024-01-01", "2024-01-02", "2024-01-03"].entries()) {
      await blum(["produce", "ends", "-p", "0", "--timestamp", `@${day}`], `day ${index + 1}\n`);
    }
  });

  test.each([
    [["--from", "1", "-e"], "day 2\nday 3\n"],
    [["--from", "-1", "-e", "-p", "0"], "day 3\n"],
    [["--from", "@2024-01-02", "--until", "@2024-01-03"], "day 2\n"],
    [["--until", "2", "-p", "0"], "day 1\nday 2\n"],
    [["-c", "1", "-p", "0"], "day 1\n"],
    [["--from", "end", "-e"], ""],
  ])("%j", async (flags, out) => {
    expect(await blum(["consume", "ends", ...flags])).toEqual({ code: 0, out, error: "" });
  });

  test("without an end it goes on until it is stopped, and ends well", async () => {
    expect(await blum(["consume", "ends", "-p", "0"], "", 700)).toMatchObject({
      code: 0,
      out: "day 1\nday 2\nday 3\n",
    });
  });
});

test("a group goes on where it was, to the record", { timeout: 30_000 }, async () => {
  const lines = Array.from({ length: 9 }, (_, index) => `${index}\n`);
  await blum(["produce", "group", "-p", "0"], lines.join(""));
  const read = async (count: string): Promise<string> =>
    (await blum(["consume", "group", "-G", "readers", "-c", count])).out;
  expect([await read("2"), await read("4"), await read("3")]).toEqual(["0\n1\n", "2\n3\n4\n5\n", "6\n7\n8\n"]);
});

describe("what is wrong is told", () => {
  test.each([
    [["consume", "nowhere", "-e"], 1, /no topic nowhere/],
    [["consume", "ends", "--from", "x"], 2, /--from x is no place/],
    [["consume", "ends", "-p", "9"], 1, /no partition 9/],
    [["consume", "ends", "-G", "g", "-e"], 2, /--exit does not go with --group/],
    [["consume", "ends", "-f", "%q"], 2, /%q names nothing/],
    [["consume", "ends", "-X", "fetch.min.byte=1"], 2, /did you mean fetch.min.bytes/],
    [["produce", "ends", "--acks", "7"], 2, /acks=7/],
    [["produce", "ends", "-z", "brotli"], 2, /brotli/],
    [["produce", "ends", "-i", "xml"], 2, /--input xml/],
    [["produce", "ends", "no-such-file"], 1, /no-such-file/],
    [["produce", "ends", "-p", "9"], 1, /partition 9 of topic ends is not 0 to 2/],
  ])("%j", { timeout: 15_000 }, async (args, code, complaint) => {
    const run = await blum(args, "x\n");
    expect(run.error).toMatch(complaint);
    expect(run.error).not.toContain("    at ");
    expect(run.code).toBe(code);
  });
});
