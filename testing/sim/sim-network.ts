// The Network port in a simulated world: connections between processes, in order and whole as TCP's are, on links that are slow, cut in one
// direction or both, and mended. What is sent into a cut link waits there; a connection whose bytes wait too long ends.
import type {
  Connection,
  ConnectionHandler,
  ConnectOptions,
  ListenOptions,
  Network,
  NetworkListener,
} from "@blumfeld/core/base";
import type { SimProcess, SimWorld } from "./world.ts";

/** Bytes in a cut link wait so long, then the connection ends. */
const heldMsMax = 8_000;
const retryMs = 50;
const frameSizeBytes = 4;
const firstFreePort = 40_000;

interface Listening {
  readonly owner: SimProcess;
  readonly options: ListenOptions;
  readonly accept: (connection: Connection) => ConnectionHandler;
}

function refused(code: string): Error {
  return Object.assign(new Error(code), { code });
}

export class SimLinks {
  latencyMsMin = 0.1;
  latencyMsMax = 1;
  readonly world: SimWorld;
  private readonly listening = new Map<string, Listening>();
  private readonly cut = new Set<string>();
  private readonly connections = new Set<SimConnection>();
  private nextPort = firstFreePort;

  constructor(world: SimWorld) {
    this.world = world;
  }

  /** The port for one process; it is reached by its name. */
  networkOf(owner: SimProcess): Network {
    return {
      listen: (options, accept) => this.listen(owner, options, accept),
      connect: (options, handlerOf) => this.connect(owner, options, handlerOf),
    };
  }

  cutLink(from: string, to: string): void {
    this.cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.cut.clear();
  }

  isCut(from: string, to: string): boolean {
    return this.cut.has(`${from}>${to}`);
  }

  /** Its connections end; the peers learn of it when something reaches them. */
  onKilled(owner: SimProcess): void {
    for (const [address, { owner: each }] of this.listening) if (each === owner) this.listening.delete(address);
    for (const connection of [...this.connections]) if (connection.owner === owner) connection.onOwnerKilled();
  }

  latencyMs(): number {
    return this.latencyMsMin + this.world.random.fraction() * (this.latencyMsMax - this.latencyMsMin);
  }

  ended(connection: SimConnection): void {
    this.connections.delete(connection);
  }

  private async listen(
    owner: SimProcess,
    options: ListenOptions,
    accept: Listening["accept"],
  ): Promise<NetworkListener> {
    const port = options.port === 0 ? this.nextPort++ : options.port;
    const address = `${owner.name}:${port}`;
    if (this.listening.has(address)) throw refused("EADDRINUSE");
    this.listening.set(address, { owner, options, accept });
    return {
      host: owner.name,
      port,
      close: async () => void this.listening.delete(address),
    };
  }

  private connect(
    owner: SimProcess,
    options: ConnectOptions,
    handlerOf: (connection: Connection) => ConnectionHandler,
  ): Promise<Connection> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      if (this.isCut(owner.name, options.host) || this.isCut(options.host, owner.name)) {
        world.at(options.timeoutMs, owner, () => reject(refused("ETIMEDOUT")));
        return;
      }
      world.at(this.latencyMs() * 2, owner, () => {
        const target = this.listening.get(`${options.host}:${options.port}`);
        if (target?.owner.isAlive !== true || (target.options.admit?.(owner.name) ?? 0) < 0) {
          reject(refused("ECONNREFUSED"));
          return;
        }
        const here = new SimConnection(this, owner, target.owner, this.nextPort++, options.port);
        const there = new SimConnection(this, target.owner, owner, options.port, here.localPort);
        here.join(there);
        this.connections.add(here);
        this.connections.add(there);
        there.begin(target.accept(there));
        here.begin(handlerOf(here));
        resolve(here);
      });
    });
  }
}

class SimConnection implements Connection {
  readonly owner: SimProcess;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly unsentBytes = 0;
  private readonly links: SimLinks;
  private peer!: SimConnection;
  private handler!: ConnectionHandler;
  private received: Buffer[] = [];
  private onTheWay: { readonly sentMs: number; readonly work: () => void }[] = [];
  private isPaused = false;
  private isEnded = false;
  private isClosing = false;
  /** Nothing overtakes what was sent before. */
  private lastArrivalMs = 0;

  constructor(links: SimLinks, owner: SimProcess, peer: SimProcess, localPort: number, remotePort: number) {
    this.links = links;
    this.owner = owner;
    this.localAddress = owner.name;
    this.remoteAddress = peer.name;
    this.localPort = localPort;
    this.remotePort = remotePort;
  }

  join(peer: SimConnection): void {
    this.peer = peer;
    peer.peer = this;
  }

  begin(handler: ConnectionHandler): void {
    this.handler = handler;
  }

  send(chunks: readonly Uint8Array[], sent?: () => void): void {
    if (!this.isEnded && !this.isClosing) {
      const bytes = Buffer.concat(chunks);
      this.carry(() => this.peer.onBytes(bytes));
    }
    if (sent !== undefined) this.links.world.at(0, this.owner, sent);
  }

  /** In the order of sending, to the peer's process. What comes to a cut link waits, and all behind it. */
  private carry(work: () => void): void {
    const { links } = this;
    const { world } = links;
    this.onTheWay.push({ sentMs: world.nowMs, work });
    const arrive = (): void => {
      const [first] = this.onTheWay;
      if (first === undefined) return;
      if (links.isCut(this.localAddress, this.remoteAddress)) {
        if (world.nowMs - first.sentMs <= heldMsMax) world.at(retryMs, this.peer.owner, arrive);
        else this.breakOff();
        return;
      }
      this.onTheWay.shift();
      first.work();
    };
    this.lastArrivalMs = Math.max(this.lastArrivalMs, world.nowMs + links.latencyMs());
    world.at(this.lastArrivalMs - world.nowMs, this.peer.owner, arrive);
  }

  private breakOff(): void {
    this.onTheWay = [];
    this.peer.finish("ETIMEDOUT");
    if (this.owner.isAlive) this.finish("ETIMEDOUT");
  }

  private onBytes(bytes: Buffer): void {
    if (this.isEnded) return;
    for (let at = 0; at < bytes.length; ) {
      const size = bytes.readInt32BE(at);
      this.received.push(bytes.subarray(at + frameSizeBytes, at + frameSizeBytes + size));
      at += frameSizeBytes + size;
    }
    this.handOver();
  }

  private handOver(): void {
    while (this.received.length > 0 && !this.isPaused && !this.isEnded && !this.isClosing) {
      const frame = this.received.shift()!;
      if (frame.length > this.handler.frameBytesMax()) {
        this.destroy();
        return;
      }
      // Memory of its own: what is held beyond its turn shows as a difference from sockets, not as noise here.
      this.handler.onFrame(Buffer.from(frame));
    }
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.links.world.at(0, this.owner, () => this.handOver());
  }

  close(): void {
    if (this.isEnded || this.isClosing) return;
    this.isClosing = true;
    this.carry(() => this.peer.finish("peer closed"));
    this.links.world.at(0, this.owner, () => this.finish("closed"));
  }

  destroy(): void {
    if (this.isEnded) return;
    this.carry(() => this.peer.finish("ECONNRESET"));
    this.links.world.at(0, this.owner, () => this.finish("closed"));
  }

  onOwnerKilled(): void {
    this.isEnded = true;
    this.links.ended(this);
    this.carry(() => this.peer.finish("ECONNRESET"));
  }

  private finish(reason: string): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.links.ended(this);
    this.handler.onClose(reason);
  }
}
