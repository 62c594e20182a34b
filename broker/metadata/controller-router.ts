// The way to the active controller wherever it is: a call where this node is it, else a request over the wire: what clients asked goes in an
// envelope with their principal and address (KIP-590), what nodes ask of each other as it is. Follows the controller from node to node until
// the time is over. Holds no request back: each finds its own way.
import type { Clock, TimerHandle, Timers } from "@blumfeld/core/base";
import type { Controller } from "@blumfeld/core/controller";
import {
  ApiKey,
  apiOf,
  decodeResponseFrame,
  ErrorCode,
  encodeRequestFrame,
  errorOf,
  type RequestInitOf,
  type RequestOf,
  type ResponseInitOf,
  writePrincipal,
} from "@blumfeld/core/protocol";
import type { ControllerChannel } from "../parts.ts";
import { type PeerAddress, PeerFailure, type Peers } from "../peers/index.ts";
import { RequestError } from "../request-context.ts";
import type { Principal } from "../security-seam.ts";
import type { ControllerOrigin } from "./controller-requests.ts";

/** Between two tries; a controller that has just changed is known within a few of them. */
const retryMs = 50;
/** Where the request names no time of its own. */
const requestMsDefault = 60_000;
/** However small a time a client names, a controller elsewhere gets this much. */
const requestMsMin = 1_000;
/** One try at one controller. */
const attemptMsMax = 30_000;
export const controlLane = "control";

/** What nodes ask of the controller for themselves; all else is handed on for a client. */
const nodeKeys: ReadonlySet<ApiKey> = new Set<ApiKey>([
  ...[ApiKey.AllocateProducerIds, ApiKey.AlterPartition, ApiKey.AssignReplicasToDirs],
  ...[ApiKey.BrokerHeartbeat, ApiKey.BrokerRegistration, ApiKey.ControllerRegistration],
]);

export interface ControllerRouterOptions {
  /** Null on a node without the controller's role. */
  readonly local: { readonly controller: Pick<Controller, "isActive">; readonly channel: ControllerChannel } | null;
  /** Null while nobody is known to lead. */
  readonly leaderAddress: () => PeerAddress | null;
  readonly nodeId: number;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** The next try may find the controller: it was not there, or is another one by now. */
class Elsewhere extends Error {
  override name = "Elsewhere";
}

export class ControllerRouter implements ControllerChannel {
  private readonly options: ControllerRouterOptions;
  private readonly pauses = new Map<TimerHandle, () => void>();
  private isClosed = false;

  constructor(options: ControllerRouterOptions) {
    this.options = options;
  }

  async request<Key extends ApiKey>(
    key: Key,
    request: RequestOf<Key>,
    origin: ControllerOrigin,
  ): Promise<ResponseInitOf<Key>> {
    const { clock } = this.options;
    const timeoutMs = origin.timeoutMs > 0 ? Math.max(origin.timeoutMs, requestMsMin) : requestMsDefault;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      try {
        return await this.attempt(key, request, origin, deadlineMs - clock.monotonicMs());
      } catch (error) {
        if (!(error instanceof Elsewhere)) throw error;
        if (this.isClosed || clock.monotonicMs() + retryMs >= deadlineMs) {
          throw new RequestError(
            ErrorCode.REQUEST_TIMED_OUT,
            `no active controller answered in time: ${error.message}`,
          );
        }
      }
      await this.pause();
    }
  }

  private async attempt<Key extends ApiKey>(
    key: Key,
    request: RequestOf<Key>,
    origin: ControllerOrigin,
    leftMs: number,
  ): Promise<ResponseInitOf<Key>> {
    const { leaderAddress, local, nodeId } = this.options;
    if (local?.controller.isActive) return this.askHere(local.channel, key, request, origin);
    const address = leaderAddress();
    if (address === null) throw new Elsewhere("nobody leads the metadata quorum");
    if (address.id === nodeId) throw new Elsewhere("this node leads, and is not ready yet");
    const timeoutMs = Math.max(1, Math.min(leftMs, attemptMsMax));
    return nodeKeys.has(key)
      ? this.askDirectly(address, key, request, timeoutMs)
      : this.forward(address, key, request, origin, timeoutMs);
  }

  private async askHere<Key extends ApiKey>(
    channel: ControllerChannel,
    key: Key,
    request: RequestOf<Key>,
    origin: ControllerOrigin,
  ): Promise<ResponseInitOf<Key>> {
    try {
      return await channel.request(key, request, origin);
    } catch (error) {
      const isElsewhere = error instanceof RequestError && error.errorCode === ErrorCode.NOT_CONTROLLER;
      throw isElsewhere ? new Elsewhere(error.message) : error;
    }
  }

  private async askDirectly<Key extends ApiKey>(
    address: PeerAddress,
    key: Key,
    request: RequestOf<Key>,
    timeoutMs: number,
  ): Promise<ResponseInitOf<Key>> {
    const answer = await this.send(address, key, request as RequestInitOf<Key>, timeoutMs);
    const { errorCode } = answer as { readonly errorCode?: number };
    if (errorCode === ErrorCode.NOT_CONTROLLER) throw new Elsewhere(`node ${address.id} is not the active controller`);
    return answer as ResponseInitOf<Key>;
  }

  /** In the client's name. The answer inside is read in the version that went out. */
  private async forward<Key extends ApiKey>(
    address: PeerAddress,
    key: Key,
    request: RequestOf<Key>,
    origin: ControllerOrigin,
    timeoutMs: number,
  ): Promise<ResponseInitOf<Key>> {
    const isOwnVersion = origin.apiKey === key && origin.apiVersion !== undefined;
    const version = isOwnVersion ? origin.apiVersion : apiOf(key).latestStableVersion;
    const head = { correlationId: 0, clientId: origin.clientId };
    const frame = Buffer.concat(encodeRequestFrame(key, version, head, request as RequestInitOf<Key>));
    const answer = await this.send(
      address,
      ApiKey.Envelope,
      {
        requestData: frame.subarray(4),
        requestPrincipal: principalBytes(origin.principal),
        clientHostAddress: addressBytes(origin.clientAddress),
      },
      timeoutMs,
    );
    if (answer.errorCode === ErrorCode.NOT_CONTROLLER)
      throw new Elsewhere(`node ${address.id} is not the active controller`);
    if (answer.errorCode !== ErrorCode.NONE || answer.responseData === null) {
      const { message } = errorOf(answer.errorCode);
      throw new RequestError(
        ErrorCode.UNKNOWN_SERVER_ERROR,
        `controller ${address.id} refused the envelope: ${message}`,
      );
    }
    // The bytes die with this turn, and the answer may hold some of them.
    return decodeResponseFrame(key, version, Buffer.from(answer.responseData)) as ResponseInitOf<Key>;
  }

  private async send<Key extends ApiKey>(
    address: PeerAddress,
    key: Key,
    request: RequestInitOf<Key>,
    timeoutMs: number,
  ) {
    try {
      return await this.options.peers.request(address, key, request, { timeoutMs, lane: controlLane });
    } catch (error) {
      if (!(error instanceof PeerFailure)) throw error;
      if (error.kind === "unsupported-version") throw new RequestError(ErrorCode.UNSUPPORTED_VERSION, error.message);
      throw new Elsewhere(error.message);
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.options.timers.after(retryMs, () => {
        this.pauses.delete(timer);
        resolve();
      });
      this.pauses.set(timer, resolve);
    });
  }

  /** Those that wait for a controller stop waiting. */
  close(): void {
    this.isClosed = true;
    for (const [timer, resolve] of this.pauses) {
      timer.cancel();
      resolve();
    }
    this.pauses.clear();
  }
}

function principalBytes({ name, principalType }: Principal): Buffer {
  return writePrincipal({ type: principalType, name, tokenAuthenticated: false });
}

const ipv4Mapped = "::ffff:";

/** As Kafka has it: 4 bytes of IPv4, 16 of IPv6. What is no address (a node's own wish) goes as the loopback's. */
export function addressBytes(text: string): Buffer {
  const plain = text.startsWith(ipv4Mapped) && text.includes(".") ? text.slice(ipv4Mapped.length) : text;
  const parts = plain.split(".").map(Number);
  if (parts.length === 4 && parts.every((part) => part >= 0 && part <= 255)) return Buffer.from(parts);
  if (!plain.includes(":")) return Buffer.from([127, 0, 0, 1]);
  const [address] = plain.split("%");
  const [head, tail] = address!.split("::");
  const groupsOf = (half: string | undefined): number[] =>
    half === undefined || half === "" ? [] : half.split(":").map((group) => Number.parseInt(group, 16));
  const before = groupsOf(head);
  const after = groupsOf(tail);
  const groups = [...before, ...Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of groups.slice(0, 8).entries()) bytes.writeUInt16BE(group & 0xffff, index * 2);
  return bytes;
}
