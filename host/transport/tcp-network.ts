// The network port on TCP sockets of the process. Owns every connection's memory (receive-memory.ts) and the end of each turn's input and
// output; frames and bounds are in tcp-connection.ts.
import net, { type Socket } from "node:net";
import type {
  Connection,
  ConnectionHandler,
  ConnectOptions,
  ListenOptions,
  Network,
  NetworkListener,
  Timers,
} from "@blumfeld/core/base";
import { systemClock } from "../process/system-clock.ts";
import { systemTimers } from "../process/system-timers.ts";
import { TimerWheel } from "../process/timer-wheel.ts";
import { ReceiveMemory } from "./receive-memory.ts";
import { type ConnectionHost, plainAddress, TcpConnection } from "./tcp-connection.ts";
import { type TcpLimits, tcpLimitsDefault } from "./tcp-limits.ts";

/** As Kafka's socket.listen.backlog.size. */
export const backlogDefault = 50;

export class TcpNetwork implements Network, ConnectionHost {
  readonly limits: TcpLimits;
  readonly memory = new ReceiveMemory();
  unsentBytes = 0;
  turn = 0;
  private readonly wheel: TimerWheel;
  private readonly connections = new Set<TcpConnection>();
  private toFlush: TcpConnection[] = [];
  private isTurnEndQueued = false;
  private toResume: TcpConnection[] = [];

  constructor(limits: Partial<TcpLimits> = {}) {
    this.limits = { ...tcpLimitsDefault, ...limits };
    this.wheel = new TimerWheel(housekeepingTimers, systemClock, { tickMs: this.limits.deadlineTickMs });
  }

  get connectionCount(): number {
    return this.connections.size;
  }

  /** Ends every connection; listeners are closed by their owners. */
  destroyAll(): void {
    for (const connection of [...this.connections]) connection.destroy();
    this.wheel.close();
  }

  listen(options: ListenOptions, accept: (connection: Connection) => ConnectionHandler): Promise<NetworkListener> {
    const server = net.createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true });
    server.on("connection", (socket) => this.onAccept(socket, options, accept));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: options.host, port: options.port, backlog: options.backlog ?? backlogDefault }, () => {
        server.off("error", reject);
        // Out of descriptors: the process goes on with the connections that it has.
        server.on("error", () => {});
        const address = server.address() as net.AddressInfo;
        resolve({ host: address.address, port: address.port, close: () => closeServer(server) });
      });
    });
  }

  private onAccept(
    accepted: Socket,
    options: ListenOptions,
    accept: (connection: Connection) => ConnectionHandler,
  ): void {
    const address = plainAddress(accepted.remoteAddress ?? "");
    const delayMs = options.admit?.(address) ?? 0;
    if (delayMs < 0) {
      accepted.destroy();
      return;
    }
    const begin = (): void => {
      if (accepted.destroyed) {
        options.dismissed?.(address);
        return;
      }
      this.open(accepted, false, accept);
    };
    if (delayMs === 0) begin();
    else {
      accepted.on("error", () => accepted.destroy());
      setTimeout(begin, delayMs);
    }
  }

  /** Takes an accepted socket over: its handle goes to a socket that reads into our memory. */
  private open(accepted: Socket, ownFrames: boolean, handlerOf: (connection: Connection) => ConnectionHandler): void {
    // The one place where a private field of Node is needed: accepted sockets cannot be given `onread`. Where a Node has no such field
    // the socket is read in the ordinary way, with a buffer for each read.
    const holder = accepted as unknown as { _handle: unknown };
    const handle = holder._handle;
    let connection: TcpConnection | null = null;
    if (handle !== null && handle !== undefined) {
      holder._handle = null;
      const socket = new net.Socket({
        handle,
        onread: this.onReadOf(() => connection),
        pauseOnCreate: true,
      } as unknown as net.SocketConstructorOpts);
      connection = this.add(socket, ownFrames, handlerOf);
      socket.resume();
    } else {
      connection = this.add(accepted, ownFrames, handlerOf);
      const plain = connection;
      accepted.on("data", (chunk: Buffer) => plain.onChunk(chunk));
    }
  }

  private onReadOf(connectionOf: () => TcpConnection | null): net.OnReadOpts {
    return {
      buffer: () => connectionOf()?.nextRegion() ?? this.memory.landing,
      callback: (length: number, region: Uint8Array) => connectionOf()?.onRead(length, region as Buffer) ?? false,
    };
  }

  private add(
    socket: Socket,
    ownFrames: boolean,
    handlerOf: (connection: Connection) => ConnectionHandler,
  ): TcpConnection {
    const connection = new TcpConnection(socket, this, ownFrames);
    this.connections.add(connection);
    connection.begin(handlerOf(connection));
    return connection;
  }

  connect(options: ConnectOptions, handlerOf: (connection: Connection) => ConnectionHandler): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let connection: TcpConnection | null = null;
      const socket = new net.Socket({
        onread: this.onReadOf(() => connection),
      } as unknown as net.SocketConstructorOpts);
      const refuse = (error: NodeJS.ErrnoException): void => {
        clearTimeout(timeout);
        socket.destroy();
        reject(error);
      };
      const timeout = setTimeout(() => {
        refuse(Object.assign(new Error(`connect ETIMEDOUT ${options.host}:${options.port}`), { code: "ETIMEDOUT" }));
      }, options.timeoutMs);
      socket.once("error", refuse);
      socket.once("connect", () => {
        clearTimeout(timeout);
        socket.off("error", refuse);
        connection = this.add(socket, options.frames !== "turn", handlerOf);
        resolve(connection);
      });
      socket.connect({ host: options.host, port: options.port, noDelay: true, keepAlive: true });
    });
  }

  // --- what connections ask for ----------------------------------------------------------------

  flushLater(connection: TcpConnection): void {
    if (connection.isFlushQueued) return;
    connection.isFlushQueued = true;
    this.toFlush.push(connection);
    this.queueTurnEnd();
  }

  resumeLater(connection: TcpConnection): void {
    this.toResume.push(connection);
    if (this.toResume.length === 1) setImmediate(this.resumeAll);
  }

  private readonly resumeAll = (): void => {
    const connections = this.toResume;
    this.toResume = [];
    for (const connection of connections) connection.resumeFrames();
  };

  /** What others do at this turn's end (the write turn, its answers) comes before the write to the sockets: hence the second queueing. */
  private queueTurnEnd(): void {
    if (this.isTurnEndQueued) return;
    this.isTurnEndQueued = true;
    systemTimers.atTurnEnd(this.beforeTurnEnd);
  }

  private readonly beforeTurnEnd = (): void => systemTimers.atTurnEnd(this.endTurn);

  private readonly endTurn = (): void => {
    this.isTurnEndQueued = false;
    this.turn++;
    const connections = this.toFlush;
    this.toFlush = [];
    for (const connection of connections) {
      connection.isFlushQueued = false;
      connection.flush();
    }
    this.memory.endTurn();
  };

  watch(connection: TcpConnection, delayMs: number): void {
    this.wheel.set(connection, delayMs);
  }

  unwatch(connection: TcpConnection): void {
    this.wheel.cancel(connection);
  }

  /** The connection that holds the most unsent bytes pays for all. */
  shed(): void {
    let largest: TcpConnection | null = null;
    for (const connection of this.connections) {
      if (largest === null || connection.unsentBytes > largest.unsentBytes) largest = connection;
    }
    largest?.fail(`${largest.unsentBytes} bytes are not taken by the peer while memory for answers is exhausted`);
  }

  ended(connection: TcpConnection): void {
    this.connections.delete(connection);
  }
}

/** The wheel must not keep a process alive that has nothing else to do. */
const housekeepingTimers: Timers = {
  after(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  atTurnEnd: systemTimers.atTurnEnd,
};

function closeServer(server: net.Server): Promise<void> {
  // The callback of close waits for connections, which live on; the port is free once the handle is closed.
  return new Promise((resolve) => {
    server.close();
    setImmediate(resolve);
  });
}
