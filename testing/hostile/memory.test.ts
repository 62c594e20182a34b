// ../shared/design/hostile-inputs.md, the rule for all: the process lives, and its memory is bounded by the bytes received, not by those
// declared. The broker runs in a process of its own, so that memory is its own. Linux only, as the figures are.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { codecByName } from "@blumfeld/core/compression";
import { crc32c } from "@blumfeld/core/model";
import { ApiKey } from "@blumfeld/core/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { residentMegabytes } from "../bench/process-figures.ts";
import { makeBatch, WireConnection } from "../wire/index.ts";
import { framed, header, int32, unsignedVarint } from "./bytes.ts";
import { Control, createTopic, fetchRequest, pause, produce } from "./victim.ts";

const startMsMax = 30_000;
const stopMsMax = 15_000;

describe.skipIf(process.platform !== "linux")("a broker in a process of its own", () => {
  let child: ChildProcess;
  let port = 0;
  let control: Control;

  beforeAll(async () => {
    const program = fileURLToPath(new URL("victim-process.ts", import.meta.url));
    child = spawn(process.execPath, ["--import", "tsx", program], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(child.stdout!, "data")) as [Buffer];
    port = Number(line.toString().trim());
    control = await Control.start(port);
    // What a broker holds after it has worked a little is where growth is counted from.
    await pause(1000);
  }, startMsMax);

  afterAll(async () => {
    await control?.stop();
    expect(child.exitCode).toBe(null);
    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number | null];
    expect(code).toBe(0);
  }, stopMsMax);

  /** What the process holds more after `act`, at its highest, in MB. */
  async function growth(act: () => Promise<void>): Promise<number> {
    const before = residentMegabytes(child.pid!);
    let highest = before;
    const sampling = setInterval(() => {
      highest = Math.max(highest, residentMegabytes(child.pid!));
    }, 10);
    await act();
    await control.check();
    clearInterval(sampling);
    return Math.max(highest, residentMegabytes(child.pid!)) - before;
  }

  test("1,000 connections that declare 100 MiB and send 1 KiB", async () => {
    const connections: WireConnection[] = [];
    const grown = await growth(async () => {
      for (let i = 0; i < 1000; i++) {
        const connection = await WireConnection.open(port);
        connection.write(int32(100 * 1024 * 1024), Buffer.alloc(1024));
        connections.push(connection);
      }
      await pause(300);
    });
    for (const each of connections) each.destroy();
    expect(grown).toBeLessThan(100);
  });

  test("arrays and tagged fields that are declared and not there", async () => {
    const grown = await growth(async () => {
      for (let i = 0; i < 200; i++) {
        const connection = await WireConnection.open(port);
        if (i % 2 === 0) connection.write(framed(header(ApiKey.Metadata, 4), int32(2 ** 31 - 1), "00"));
        else connection.write(framed(header(ApiKey.Metadata, 12), unsignedVarint(2 ** 31), "00"));
        await connection.ended();
      }
    });
    expect(grown).toBeLessThan(50);
  });

  test("50 bombs of 1000:1 and more, all at once", async () => {
    const zeros = Buffer.alloc(400 * 1024 * 1024);
    const bombs = (["gzip", "zstd"] as const).map((name) => {
      const codec = codecByName(name)!;
      const batch = Buffer.concat([makeBatch(["x"]).subarray(0, 61), codec.compress(zeros)]);
      batch.writeInt32BE(batch.length - 12, 8);
      batch.writeInt16BE(codec.id, 21);
      batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
      return batch;
    });
    const grown = await growth(async () => {
      const connections = await Promise.all(Array.from({ length: 50 }, () => WireConnection.open(port)));
      await createTopic(connections[0]!, "bombed");
      const codes = await Promise.all(
        connections.map(
          async (each, i) => (await produce(each, "bombed", 0, bombs[i % 2]!, { msMax: 50_000 })).errorCode,
        ),
      );
      expect(new Set(codes)).toEqual(new Set([10]));
      for (const each of connections) each.destroy();
    });
    // Unpacked they would be 20,000 MB; each may take 16 MiB, a few at a time, and what has been refused waits for its collection.
    expect(grown).toBeLessThan(600);
  }, 60_000);

  test("5 connections that ask for 50 MiB again and again and read nothing", async () => {
    const setup = await WireConnection.open(port);
    await createTopic(setup, "large");
    const megabyte = makeBatch(["x".repeat(1_000_000)]);
    for (let i = 0; i < 50; i++) await produce(setup, "large", 0, megabyte);
    const connections = await Promise.all(Array.from({ length: 5 }, () => WireConnection.open(port)));
    const grown = await growth(async () => {
      for (const each of connections) {
        each.socket.pause();
        for (let i = 0; i < 40; i++)
          each.send(ApiKey.Fetch, 11, fetchRequest("large", 0, 0, { maxBytes: 50 * 1024 * 1024 }));
      }
      await pause(1500);
    });
    for (const each of [setup, ...connections]) each.destroy();
    // One answer for each connection, not forty.
    expect(grown).toBeLessThan(5 * 55 + 150);
  });
});
