// One socket that sends ready-made frames and tells the sizes and first bytes of what comes back. It never decodes a response and keeps
// none of it, so that the generator costs less than the broker it measures.
import { connect, type Socket } from "node:net";

const receiveBytes = 1024 * 1024;
/** What of a response the measures look at; larger than any header they parse. */
export const responseHeadBytes = 256;

export type OnResponse = (head: Buffer, frameBytes: number) => void;

export class RawConnection {
  onResponse: OnResponse = () => {};
  private readonly socket: Socket;
  private readonly head = Buffer.alloc(responseHeadBytes);
  private readonly size = Buffer.alloc(4);
  private sizeFilled = 0;
  private headFilled = 0;
  private frameBytes = 0;
  private remaining = 0;
  private failure: Error | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  static open(host: string, port: number): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const into = Buffer.allocUnsafeSlow(receiveBytes);
      const opened: { connection?: RawConnection } = {};
      const socket = connect({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: into,
          callback: (bytesRead: number, buffer: Uint8Array): boolean => {
            opened.connection?.take(buffer as Buffer, bytesRead);
            return true;
          },
        },
      });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.removeListener("error", reject);
        const connection = new RawConnection(socket);
        opened.connection = connection;
        socket.on("error", (error) => connection.fail(error));
        socket.on("close", () => connection.fail(new Error("the broker closed the connection")));
        resolve(connection);
      });
    });
  }

  /** Non-null once the connection has ended. */
  get ended(): Error | null {
    return this.failure;
  }

  /** Queues a whole frame. Its bytes must stay as they are until the answer has come. */
  send(frame: Uint8Array): void {
    if (this.failure !== null) throw this.failure;
    this.socket.write(frame);
  }

  cork(): void {
    this.socket.cork();
  }

  uncork(): void {
    this.socket.uncork();
  }

  close(): void {
    this.failure ??= new Error("closed");
    this.socket.destroy();
  }

  private fail(error: Error): void {
    this.failure ??= error;
  }

  private take(buffer: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      if (this.remaining === 0) {
        while (this.sizeFilled < 4 && at < length) this.size[this.sizeFilled++] = buffer[at++]!;
        if (this.sizeFilled < 4) return;
        this.frameBytes = this.size.readInt32BE(0);
        this.remaining = this.frameBytes;
        this.sizeFilled = 0;
        this.headFilled = 0;
      }
      const here = Math.min(this.remaining, length - at);
      const forHead = Math.min(here, responseHeadBytes - this.headFilled);
      if (forHead > 0) {
        buffer.copy(this.head, this.headFilled, at, at + forHead);
        this.headFilled += forHead;
      }
      at += here;
      this.remaining -= here;
      if (this.remaining === 0) this.onResponse(this.head, this.frameBytes);
    }
  }
}
