// A connection for the measures of the coordinators: whole answers, decoded, one promise a call. Calls may be sent before the last one is
// answered. It costs more than `RawConnection`; a measure that counts plain requests uses that.
import { connect, type Socket } from "node:net";
import {
  type ApiKey,
  decodeResponseFrame,
  encodeRequestFrame,
  type RequestInitOf,
  type ResponseOf,
} from "@blumfeld/core/protocol";
import type { Target } from "./drive.ts";

const answerMsMax = 60_000;

type Waiting = { take(frame: Buffer): void; fail(error: Error): void; sentMs: number };

export class Caller {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  readonly #watch: NodeJS.Timeout;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #wantedBytes = 4;
  #calls = 0;
  #failure: Error | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the broker closed the connection")));
    this.#watch = setInterval(() => {
      const oldest = this.#waiting[0];
      if (oldest !== undefined && performance.now() - oldest.sentMs > answerMsMax)
        this.#fail(new Error(`no answer for ${answerMsMax / 1000} s`));
    }, 1000);
  }

  static open(target: Target): Promise<Caller> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: target.host, port: target.port });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.removeListener("error", reject);
        resolve(new Caller(socket));
      });
    });
  }

  call<Key extends ApiKey>(key: Key, version: number, message: RequestInitOf<Key>): Promise<ResponseOf<Key>> {
    const frame = encodeRequestFrame(key, version, { correlationId: this.#calls++, clientId: "bench" }, message);
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      this.#waiting.push({
        take: (answer) => resolve(decodeResponseFrame(key, version, answer)),
        fail: reject,
        sentMs: performance.now(),
      });
      for (const piece of frame) this.#socket.write(piece);
    });
  }

  close(): void {
    this.#fail(new Error("closed"));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    clearInterval(this.#watch);
    this.#socket.destroy();
    for (const each of this.#waiting.splice(0)) each.fail(this.#failure);
  }

  #take(bytes: Buffer): void {
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes < this.#wantedBytes) return;
    let whole = this.#received.length === 1 ? this.#received[0]! : Buffer.concat(this.#received);
    while (whole.length >= 4) {
      const size = whole.readInt32BE(0);
      if (whole.length < 4 + size) break;
      this.#waiting.shift()?.take(whole.subarray(4, 4 + size));
      whole = whole.subarray(4 + size);
    }
    this.#received = whole.length === 0 ? [] : [whole];
    this.#receivedBytes = whole.length;
    this.#wantedBytes = whole.length >= 4 ? 4 + whole.readInt32BE(0) : 4;
  }
}

/** Throws unless the error code is 0. */
export function mustBeOk(what: string, errorCode: number): void {
  if (errorCode !== 0) throw new Error(`${what}: error ${errorCode}`);
}

export async function openCallers(target: Target, count: number): Promise<Caller[]> {
  const callers: Caller[] = [];
  // Not all at once: the listen backlog of neither side is measured.
  for (let i = 0; i < count; i += 50)
    callers.push(...(await Promise.all(Array.from({ length: Math.min(50, count - i) }, () => Caller.open(target)))));
  return callers;
}

const notReady = new Set([14, 15, 16]); // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR

/** Repeats a call while it tells that the coordinator is not there yet. */
export async function whenReady<T>(call: () => Promise<{ errorCode: number; value: T }>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const { errorCode, value } = await call();
    if (errorCode === 0) return value;
    if (!notReady.has(errorCode) || attempt > 600) throw new Error(`the coordinator answers with error ${errorCode}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
