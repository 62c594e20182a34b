// A TCP proxy before one listener of a node: while it is cut, nobody gets through to it, and what was connected is torn down or hangs.
import { connect, createServer, type Server, type Socket } from "node:net";

/** "reset": connections end at once. "hang": they stay and carry nothing, as behind a firewall that drops packets. */
export type Cut = "reset" | "hang";

export class ListenerProxy {
  readonly port: number;
  private readonly server: Server;
  private readonly targetPort: number;
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private cut: Cut | null = null;

  static async listen(port: number, targetPort: number): Promise<ListenerProxy> {
    const server = createServer({ pauseOnConnect: true });
    const proxy = new ListenerProxy(server, port, targetPort);
    server.on("connection", (socket) => proxy.onConnection(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    return proxy;
  }

  private constructor(server: Server, port: number, targetPort: number) {
    this.server = server;
    this.port = port;
    this.targetPort = targetPort;
  }

  private onConnection(socket: Socket): void {
    socket.on("error", () => {});
    if (this.cut === "reset") {
      socket.resetAndDestroy();
      return;
    }
    const target = connect({ port: this.targetPort, host: "127.0.0.1" });
    target.on("error", () => {});
    const pair = [socket, target] as const;
    this.pairs.add(pair);
    const end = (): void => {
      this.pairs.delete(pair);
      socket.destroy();
      target.destroy();
    };
    socket.on("close", end);
    target.on("close", end);
    socket.setNoDelay(true);
    target.setNoDelay(true);
    socket.pipe(target);
    target.pipe(socket);
    if (this.cut === "hang") hang(pair);
    else socket.resume();
  }

  cutOff(how: Cut): void {
    this.cut = how;
    for (const pair of [...this.pairs]) {
      if (how === "hang") hang(pair);
      else for (const socket of pair) socket.resetAndDestroy();
    }
  }

  /** Connections that hung end now: what they lost does not come back. */
  restore(): void {
    const wasHanging = this.cut === "hang";
    this.cut = null;
    if (wasHanging) for (const pair of [...this.pairs]) for (const socket of pair) socket.resetAndDestroy();
  }

  close(): void {
    this.server.close();
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
  }
}

function hang([one, other]: readonly [Socket, Socket]): void {
  one.unpipe(other);
  other.unpipe(one);
  one.pause();
  other.pause();
}
