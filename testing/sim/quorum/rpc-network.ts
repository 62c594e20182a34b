// What the nodes of a simulated quorum say to each other: requests and answers as whole frames of the protocol, which are lost, late, doubled
// and out of order, on links that are cut in one direction or both.
import {
  type ApiKey,
  apiOf,
  decodeRequestHead,
  decodeResponseFrame,
  encodeRequestFrame,
  encodeResponseFrame,
  type RequestInitOf,
  type ResponseInitOf,
  type ResponseOf,
} from "@blumfeld/core/protocol";
import type { QuorumAddress } from "@blumfeld/core/quorum";
import type { SimProcess, SimWorld } from "../world.ts";

/** Why a request got no answer, as Peers says it. */
export class SimSendFailure extends Error {
  readonly kind: "unreachable" | "timeout" | "closed";
  constructor(kind: "unreachable" | "timeout" | "closed") {
    super(kind);
    this.kind = kind;
  }
}

export interface RpcServer extends SimProcess {
  readonly id: number;
  /** Null: no answer. Addresses that are not (any more) this server's are refused. */
  isAt(host: string, port: number): boolean;
  serve(key: ApiKey, version: number, request: unknown): Promise<object | null> | object | null;
}

export interface LinkFaults {
  /** Of a request or an answer. */
  lossChance: number;
  /** A request arrives twice. */
  doubleChance: number;
  latencyMsMin: number;
  latencyMsMax: number;
}

export class RpcNetwork {
  readonly faults: LinkFaults = { lossChance: 0, doubleChance: 0, latencyMsMin: 0.2, latencyMsMax: 3 };
  /** Frames carried. */
  frameCount = 0;
  private readonly world: SimWorld;
  private readonly servers: readonly { readonly id: number; process: RpcServer | null }[];
  private readonly cut = new Set<string>();

  constructor(world: SimWorld, servers: readonly { readonly id: number; process: RpcServer | null }[]) {
    this.world = world;
    this.servers = servers;
  }

  /** Nothing goes from one to the other. */
  cutLink(from: number, to: number): void {
    this.cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.cut.clear();
  }

  isCut(from: number, to: number): boolean {
    return this.cut.has(`${from}>${to}`);
  }

  send<Key extends ApiKey>(
    from: RpcServer,
    to: QuorumAddress,
    key: Key,
    request: RequestInitOf<Key>,
    timeoutMs: number,
  ): Promise<ResponseOf<Key>> {
    const { world } = this;
    const version = apiOf(key).latestStableVersion;
    const frame = Buffer.concat(encodeRequestFrame(key, version, { correlationId: 1, clientId: null }, request));
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const settle = (work: () => void): void => {
        if (isSettled) return;
        isSettled = true;
        timer.cancel();
        work();
      };
      const timer = world.at(timeoutMs, from, () => settle(() => reject(new SimSendFailure("timeout"))));
      const target = this.servers.find(({ process }) => process?.isAt(to.host, to.port));
      const id = target?.id ?? this.servers.find(({ id: each }) => to.host === `node${each}`)?.id ?? -1;
      const deliver = (): void => {
        this.frameCount++;
        if (this.isCut(from.id, id) || world.chance(this.faults.lossChance)) return;
        const arriveAt = this.latencyMs();
        const process = target?.process;
        if (!process?.isAlive) {
          world.at(arriveAt, from, () => settle(() => reject(new SimSendFailure("unreachable"))));
          return;
        }
        world.at(arriveAt, process, () => {
          this.serve(process, key, version, frame, (answer) => {
            if (this.isCut(id, from.id) || world.chance(this.faults.lossChance)) return;
            world.at(this.latencyMs(), from, () => settle(() => resolve(decodeResponseFrame(key, version, answer))));
          });
        });
      };
      deliver();
      if (world.chance(this.faults.doubleChance)) deliver();
    });
  }

  private latencyMs(): number {
    const { latencyMsMax, latencyMsMin } = this.faults;
    return latencyMsMin + this.world.random.fraction() * (latencyMsMax - latencyMsMin);
  }

  private serve<Key extends ApiKey>(
    process: RpcServer,
    key: Key,
    version: number,
    frame: Buffer,
    answer: (frame: Buffer) => void,
  ): void {
    const head = decodeRequestHead(frame.subarray(4), true);
    if ("unsupported" in head) throw new Error(`the simulator sent an unsupported request of API ${key}`);
    const request = apiOf(key).decodeRequest(head.reader, version);
    const reply = (response: object | null): void => {
      if (response === null || !process.isAlive) return;
      const frames = encodeResponseFrame(key, version, 1, response as ResponseInitOf<Key>);
      answer(Buffer.concat(frames).subarray(4));
    };
    // What cannot be answered has ended the node, which its owner sees.
    void Promise.resolve()
      .then(() => process.serve(key, version, request))
      .then(reply, () => {});
  }
}
