// Random and damaged requests against a running broker, over many connections, while a control connection writes and reads back. The process
// must live, the control's answers must come, its records must be whole, and memory must stay within a bound.
import { connect, type Socket } from "node:net";
import { seededRandom } from "@blumfeld/core/base";
import { createTopic } from "../bench/load/drive.ts";
import {
  fetchFrame,
  produceErrorAt,
  produceFrame,
  readFetchAnswer,
  readyBatch,
  setFetchOffset,
} from "../bench/load/frames.ts";
import { residentMegabytes } from "../bench/process-figures.ts";
import { randomRecords, requestShapes } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { FrameMaker } from "./random-frame.ts";

export type SocketReport = {
  readonly frames: number;
  readonly answered: number;
  readonly closed: number;
  /** Neither answered nor closed in time: parked by their own wish (a fetch that waits, a join). */
  readonly parked: number;
  readonly controlRecords: number;
  readonly controlSlowestMs: number;
  readonly residentMegabytes: number;
  readonly findings: readonly string[];
};

const connectionCount = 24;
/** After this a request counts as parked, and its connection is dropped. */
const answerMsMax = 40;
/** The control's answer may take this long at most: no input may stall the loop, but the machine is shared. */
const controlMsMax = 5000;
const controlTopic = "fuzz-control";
const controlBatch = readyBatch(0, 100);

/** One connection that asks and waits. Rejects when the broker closes or does not answer. */
class Asking {
  private buffered: Buffer = Buffer.alloc(0);
  private waiting: { resolve: (answer: Buffer | null) => void; timer: NodeJS.Timeout } | null = null;
  private readonly socket: Socket;
  isOpen = true;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.take(bytes));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isOpen = false;
      this.settle(null);
    });
  }

  static open(port: number): Promise<Asking> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Asking(socket)));
    });
  }

  /** The answer's frame with its size, null when the connection ended, "late" when neither came in time. */
  ask(frame: Buffer, msMax: number): Promise<Buffer | null | "late"> {
    if (!this.isOpen) return Promise.resolve(null);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.waiting = null;
        resolve("late");
      }, msMax);
      this.waiting = { resolve, timer };
      this.socket.write(frame);
    });
  }

  destroy(): void {
    this.socket.destroy();
    this.isOpen = false;
  }

  private take(bytes: Buffer): void {
    this.buffered = this.buffered.length === 0 ? bytes : Buffer.concat([this.buffered, bytes]);
    if (this.buffered.length < 4) return;
    const size = this.buffered.readInt32BE(0) + 4;
    if (this.buffered.length < size) return;
    const answer = this.buffered.subarray(0, size);
    this.buffered = this.buffered.subarray(size);
    this.settle(answer);
  }

  private settle(answer: Buffer | null): void {
    if (this.waiting === null) return;
    clearTimeout(this.waiting.timer);
    const { resolve } = this.waiting;
    this.waiting = null;
    resolve(answer);
  }
}

/** Writes a record every few milliseconds until told to stop, then reads all of them back. */
async function control(
  port: number,
  isOver: () => boolean,
  findings: string[],
): Promise<{ records: number; slowestMs: number }> {
  const errorAt = produceErrorAt(controlTopic);
  const connection = await Asking.open(port);
  let records = 0;
  let slowestMs = 0;
  const ask = async (frame: Buffer): Promise<Buffer | null> => {
    const startedMs = performance.now();
    const answer = await connection.ask(frame, controlMsMax);
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    if (answer instanceof Buffer) return answer;
    findings.push(
      answer === "late"
        ? `the control connection had no answer for ${controlMsMax} ms`
        : "the control connection was closed",
    );
    return null;
  };
  while (!isOver()) {
    const answer = await ask(produceFrame(controlTopic, 0, controlBatch.bytes, 1));
    if (answer === null) return { records, slowestMs };
    const error = answer.readInt16BE(4 + errorAt);
    if (error !== 0) findings.push(`the control connection's produce got error ${error}`);
    else records++;
    await new Promise((wake) => setTimeout(wake, 5));
  }
  let read = 0;
  while (read < records) {
    const frame = fetchFrame(controlTopic, 0, 1024 * 1024);
    setFetchOffset(frame, controlTopic, read);
    const answer = await ask(frame);
    if (answer === null) break;
    const { error, recordBytes } = readFetchAnswer(answer.subarray(4), controlTopic);
    if (error !== 0 || recordBytes < controlBatch.bytes.length) {
      findings.push(`reading back at ${read} of ${records}: error ${error}, ${recordBytes} bytes`);
      break;
    }
    const bytes = answer.subarray(answer.length - recordBytes);
    for (let at = 0; at + controlBatch.bytes.length <= recordBytes; at += controlBatch.bytes.length) {
      // After base offset (8), length (4) and leader epoch (4) all bytes are as they were sent.
      if (!bytes.subarray(at + 16, at + controlBatch.bytes.length).equals(controlBatch.bytes.subarray(16)))
        findings.push(`record ${read} came back changed`);
      if (bytes.readBigInt64BE(at) !== BigInt(read))
        findings.push(`record ${read} has offset ${bytes.readBigInt64BE(at)}`);
      read++;
    }
  }
  connection.destroy();
  return { records, slowestMs };
}

export async function fuzzSocket(options: {
  seed: number;
  frameCount: number;
  port: number;
  pid: number;
  residentMegabytesMax: number;
  onProgress?: (frames: number) => void;
}): Promise<SocketReport> {
  const { port } = options;
  const random = seededRandom(options.seed);
  const maker = new FrameMaker(random, () => randomRecords(random));
  const shapes = requestShapes("broker");
  const findings: string[] = [];
  const counts = { frames: 0, answered: 0, closed: 0, parked: 0 };
  await createTopic({ host: "127.0.0.1", port }, controlTopic, 1);
  let isOver = false;
  const controlling = control(port, () => isOver, findings);
  const worker = async (): Promise<void> => {
    let connection: Asking | null = null;
    while (counts.frames < options.frameCount && findings.length === 0) {
      const frames = counts.frames++;
      const { apiKey, version, message } = shapes[frames % shapes.length]!;
      const whole = maker.request(apiKey, version, message, frames);
      const bytes = frames % 3 === 0 ? whole.bytes : mutate(whole, random);
      try {
        if (connection === null || !connection.isOpen) connection = await Asking.open(port);
      } catch (error) {
        findings.push(`no new connection after frame ${frames} (API ${apiKey} v${version}): ${String(error)}`);
        return;
      }
      const answer = await connection.ask(bytes, answerMsMax);
      if (answer instanceof Buffer) counts.answered++;
      else if (answer === null) counts.closed++;
      else {
        counts.parked++;
        connection.destroy();
      }
      if (frames % 2000 === 0) options.onProgress?.(frames);
    }
    connection?.destroy();
  };
  await Promise.all(Array.from({ length: connectionCount }, worker));
  isOver = true;
  const { records, slowestMs } = await controlling;
  const resident = residentMegabytes(options.pid);
  if (resident > options.residentMegabytesMax)
    findings.push(`the broker holds ${resident.toFixed(0)} MB, more than ${options.residentMegabytesMax}`);
  return { ...counts, controlRecords: records, controlSlowestMs: slowestMs, residentMegabytes: resident, findings };
}
