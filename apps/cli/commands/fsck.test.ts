// fsck and dump on directories that a broker of ours left and on Apache Kafka's own, whole and damaged.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "@blumfeld/core/base";
import { LogManager, logConfigDefaults } from "@blumfeld/core/log";
import { partitionIndexOf } from "@blumfeld/core/model";
import { FileDisk } from "@blumfeld/host/disk";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { manualTimers, plainBatch, quietLogger } from "../../../testing/log/fixtures.ts";
import { missingShared, sharedPath } from "../../../testing/shared.ts";
import type { CliIo } from "../io.ts";
import { runBlum } from "../main.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "blumfeld-fsck-"));
});
afterEach(() => {
  process.exitCode = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function blum(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  const told = { out: "", error: "" };
  const io: CliIo = {
    out(text) {
      told.out += text;
    },
    error(text) {
      told.error += text;
    },
    isTerminal: false,
    columnCount: 80,
    environment: {},
    onStopSignal: () => () => {},
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  process.exitCode = undefined;
  return { code: await runBlum(args, io), ...told };
}

interface Answer {
  readonly findings: readonly {
    severity: string;
    path: string;
    position: number | null;
    problem: string;
    lost: string | null;
  }[];
  readonly partitions: readonly { name: string; startOffset: number; endOffset: number }[];
  readonly repaired?: {
    directory: string;
    partitions: readonly { name: string; endOffset: number }[];
    findingsLeft: readonly unknown[];
  };
}

async function fsck(...args: string[]): Promise<Answer & { code: number }> {
  const { code, error, out } = await blum("fsck", ...args, "--json");
  expect(error).toBe("");
  return { code, ...(JSON.parse(out) as Answer) };
}

/** Three segments of ten batches with three records each, stopped cleanly. */
async function makeDirectory(): Promise<string> {
  const data = join(folder, "data");
  const manager = await LogManager.open({
    disk: new FileDisk(),
    clock: { wallMs: () => 1_700_000_000_000, monotonicMs: () => 0 },
    timers: manualTimers(),
    random: seededRandom(1),
    logger: quietLogger,
    directories: [data],
    configOf: () => ({ ...logConfigDefaults, indexIntervalBytes: 200 }),
  });
  const log = manager.getOrCreate({ topic: "orders", partition: partitionIndexOf(0) }, { topicId: null });
  for (let index = 0; index < 30; index++) {
    if (index % 10 === 0) log.roll();
    log.append(plainBatch(3, 1000 + index), { origin: "client", leaderEpoch: 0, nowMs: 1_700_000_000_000 });
    log.writePending();
  }
  log.setHighWatermark(log.logEndOffset);
  await manager.close({ brokerEpoch: 3 });
  writeFileSync(join(data, "meta.properties"), "#\nnode.id=1\nversion=1\ncluster.id=test-cluster-id-of-fsck\n");
  return data;
}

function change(path: string, position: number, value: number): void {
  const bytes = readFileSync(path);
  bytes[position] = value;
  writeFileSync(path, bytes);
}

describe("blum fsck", () => {
  test("finds a directory of ours sound, and says how much it looked at", async () => {
    const data = await makeDirectory();
    const { code, findings, partitions } = await fsck(data);
    expect(findings).toEqual([]);
    expect(code).toBe(0);
    expect(partitions).toMatchObject([
      { name: "orders-0", startOffset: 0, endOffset: 90, segmentCount: 3, batchCount: 30 },
    ]);
    expect((await blum("fsck", data)).out).toMatch(/1 partition, 3 segments, 30 batches[\s\S]*sound/);
  });

  test("names a damaged batch by file, byte and lost offsets, and repairs a copy", async () => {
    const data = await makeDirectory();
    const segment = join(data, "orders-0", "00000000000000000030.log");
    const batchBytes = statSync(segment).size / 10;
    change(segment, batchBytes * 4 + 70, 0xff);
    const { code, findings } = await fsck(data);
    expect(code).toBe(1);
    expect(findings).toEqual([
      expect.objectContaining({
        severity: "damage",
        path: segment,
        position: batchBytes * 4,
        lost: "the records of offsets 42 to 44",
      }),
    ]);
    const text = (await blum("fsck", data)).out;
    expect(text).toMatch(/damage +orders-0\/00000000000000000030\.log +\d+ +.*checksum.*offsets 42 to 44/);
    expect(text).toContain("--repair --copy-to");
    const before = readFileSync(segment);
    const copy = join(folder, "copy");
    const repair = await fsck(data, "--repair", "--copy-to", copy);
    expect(repair.repaired).toMatchObject({
      directory: copy,
      partitions: [{ name: "orders-0", endOffset: 42 }],
      findingsLeft: [],
    });
    expect(repair.code).toBe(1);
    expect(readFileSync(segment).equals(before)).toBe(true);
    expect((await fsck(copy)).partitions[0]).toMatchObject({ endOffset: 42 });
  });

  test("takes what a start mends for no loss: indexes, snapshots, checkpoints", async () => {
    const data = await makeDirectory();
    const at = (name: string): string => join(data, "orders-0", name);
    change(at("00000000000000000000.index"), 7, 99);
    rmSync(at("00000000000000000030.timeindex"));
    change(at("00000000000000000060.snapshot"), 3, 1);
    writeFileSync(join(data, "replication-offset-checkpoint"), "0\n1\nnonsense\n");
    writeFileSync(at("00000000000000000000.log.deleted"), "");
    const { code, findings } = await fsck(data);
    expect(code).toBe(0);
    expect(findings.map(({ severity }) => severity).sort()).toEqual([
      "mendable",
      "mendable",
      "mendable",
      "mendable",
      "note",
    ]);
    const repair = await fsck(data, "--repair");
    expect(repair.code).toBe(0);
    expect(repair.repaired?.findingsLeft).toEqual([]);
    expect((await fsck(data)).partitions[0]).toMatchObject({ startOffset: 0, endOffset: 90 });
  });

  test("tells a cut after a crash from one after a clean stop", async () => {
    const data = await makeDirectory();
    const last = join(data, "orders-0", "00000000000000000060.log");
    writeFileSync(last, readFileSync(last).subarray(0, -5));
    expect((await fsck(data)).findings.map(({ lost }) => lost)).toContain("records from offset 87 on");
    rmSync(join(data, ".kafka_cleanshutdown"));
    rmSync(join(data, "recovery-point-offset-checkpoint"));
    const { code, findings } = await fsck(data);
    expect(code).toBe(0);
    expect(findings.filter(({ path }) => path === last)).toEqual([
      expect.objectContaining({ severity: "mendable", lost: null }),
    ]);
  });

  test("refuses a directory that is not there, in use, or a copy to where something is", async () => {
    const data = await makeDirectory();
    expect(await blum("fsck", join(folder, "none"))).toMatchObject({ code: 2 });
    expect(await blum("fsck", data, "--copy-to", folder)).toMatchObject({ code: 2 });
    expect((await blum("fsck", data, "--repair", "--copy-to", data)).code).toBe(0);
    const lock = new FileDisk().lock(`${data}/.lock`)!;
    const { code, error } = await blum("fsck", data);
    lock.release();
    expect([code, error]).toEqual([1, expect.stringContaining("in use by a running node")]);
  });
});

describe("blum dump", () => {
  test("prints batches, records, entries and lines, as text and as JSON lines", async () => {
    const data = await makeDirectory();
    const { code, out } = await blum("dump", join(data, "orders-0"), "--json");
    expect(code).toBe(0);
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { file: string; kind: string; value?: string });
    const kinds = (suffix: string): string[] => [
      ...new Set(rows.filter(({ file }) => file.endsWith(suffix)).map(({ kind }) => kind)),
    ];
    expect([kinds(".log"), kinds(".index"), kinds("-checkpoint")]).toEqual([["batch", "record"], ["entry"], ["line"]]);
    expect(rows.filter(({ kind }) => kind === "record").length).toBe(90);
    expect(rows.find(({ kind }) => kind === "record")).toMatchObject({ offset: 0, value: "value 0" });
    const text = await blum("dump", join(data, "orders-0", "00000000000000000000.log"), "--headers");
    expect(text.out.split("\n").filter((line) => line.startsWith("  batch")).length).toBe(10);
    change(join(data, "orders-0", "00000000000000000000.log"), 90, 1);
    expect((await blum("dump", join(data, "orders-0", "00000000000000000000.log"))).code).toBe(1);
  });
});

describe.skipIf(missingShared)("on Apache Kafka's directories", () => {
  test.each(["clean", "killed"])("%s: fsck finds nothing wrong, dump reads every file", async (name) => {
    spawnSync("tar", ["xzf", sharedPath(`protocol/data-dirs/data-${name}.tar.gz`), "-C", folder]);
    const data = join(folder, "data");
    const { code, findings, partitions } = await fsck(data);
    expect(findings.filter(({ severity }) => severity !== "note")).toEqual([]);
    expect([code, partitions.length]).toEqual([0, 40]);
    const { out } = await blum("dump", data, "--json");
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { file: string; kind: string; type?: string });
    expect(rows.filter(({ kind }) => kind === "damage")).toEqual([]);
    const expected = JSON.parse(readFileSync(sharedPath(`protocol/data-dirs/data-${name}.expected.json`), "utf8")) as {
      disk: Record<string, { batches?: Record<string, unknown> }>;
    };
    for (const [partition, { batches }] of Object.entries(expected.disk)) {
      for (const [file, wanted] of Object.entries(batches ?? {})) {
        const path = existsSync(join(data, partition, file)) ? join(data, partition, file) : null;
        // Of the metadata log only a summary was recorded.
        if (path === null || !Array.isArray(wanted)) continue;
        expect(rows.filter((row) => row.file === path && row.kind === "batch").length, path).toBe(wanted.length);
      }
    }
    const types = new Set(rows.map(({ type }) => type));
    for (const type of ["OffsetCommit", "TransactionLog", "TopicRecord", "ShareSnapshot"])
      expect([...types]).toContain(type);
  });
});
