// Connections from this node to other nodes, brokers and controllers, on the Network port. One for each (address, lane): what replicates never
// waits behind what controls. Decides nothing about the answers and repeats no request; whoever asks again is held back until the address may
// be tried again. Answers are views of the transport's buffers: they die with the turn they came in.
import type { Clock, Logger, Network, Random, Timers } from "@blumfeld/core/base";
import type { ApiKey, RequestInitOf, ResponseOf } from "@blumfeld/core/protocol";
import { PeerFailure } from "./peer-failure.ts";
import { PeerLink, type PeerLinkOptions } from "./peer-link.ts";

export interface PeerAddress {
  /** Negative where it is not known yet (a bootstrap server). */
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface PeerRequestOptions {
  /** From now until the answer, connecting included. */
  readonly timeoutMs: number;
  /** Requests of one lane to one address share a connection and its order. */
  readonly lane?: string;
  /** Not above this version, where the cluster's features fix one. */
  readonly versionMax?: number;
}

export interface Peers {
  /**
   * Resolves with the decoded answer in the turn its bytes arrived: buffers in it are views that die with that turn (copy or append at
   * once). The version is the highest that both sides know; ApiVersions is asked once a connection. Rejects with PeerFailure.
   */
  request<Key extends ApiKey>(
    to: PeerAddress,
    key: Key,
    request: RequestInitOf<Key>,
    options: PeerRequestOptions,
  ): Promise<ResponseOf<Key>>;
  /** Ends connections to a node that is gone or has moved. */
  forget(id: number): void;
  /** What is in flight is rejected, and so is everything from now on. */
  close(): Promise<void>;
}

/** Beyond this the one that was idle longest makes room; a cluster of 200 nodes with four lanes each stays below. */
export const peerLinkCountMax = 1_024;
export const peerReconnectMsMin = 50;
export const peerReconnectMsMax = 1_000;
/** A node that does not take a connection in this time is tried anew. */
export const peerConnectMsMax = 10_000;

export interface PeerConnectionsOptions {
  /** Names this node in the other's logs and quotas; the lane is put behind it. */
  readonly clientId: string;
  readonly network: Network;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export class PeerConnections implements Peers {
  private readonly options: PeerConnectionsOptions;
  /** The one used last stands last. */
  private readonly links = new Map<string, PeerLink>();
  private isClosed = false;

  constructor(options: PeerConnectionsOptions) {
    this.options = options;
  }

  request<Key extends ApiKey>(
    to: PeerAddress,
    key: Key,
    request: RequestInitOf<Key>,
    options: PeerRequestOptions,
  ): Promise<ResponseOf<Key>> {
    if (this.isClosed) return Promise.reject(new PeerFailure("closed", to, "this node is closing"));
    return this.link(to, options.lane ?? "control").request(key, request, options);
  }

  private link(to: PeerAddress, lane: string): PeerLink {
    const name = `${to.id} ${to.host}:${to.port} ${lane}`;
    const known = this.links.get(name);
    if (known !== undefined) {
      this.links.delete(name);
      this.links.set(name, known);
      return known;
    }
    this.makeRoom();
    const options: PeerLinkOptions = {
      ...this.options,
      clientId: `${this.options.clientId}-${lane}`,
      reconnectMsMin: peerReconnectMsMin,
      reconnectMsMax: peerReconnectMsMax,
      connectMsMax: peerConnectMsMax,
    };
    const link = new PeerLink(to, options);
    this.links.set(name, link);
    return link;
  }

  private makeRoom(): void {
    if (this.links.size < peerLinkCountMax) return;
    for (const [name, link] of this.links) {
      if (!link.isIdle) continue;
      link.close("another connection needed its place");
      this.links.delete(name);
      return;
    }
  }

  forget(id: number): void {
    for (const [name, link] of [...this.links]) {
      if (link.address.id !== id) continue;
      this.links.delete(name);
      link.close("the node is gone or has moved");
    }
  }

  close(): Promise<void> {
    this.isClosed = true;
    for (const link of this.links.values()) link.close("this node is closing");
    this.links.clear();
    return Promise.resolve();
  }
}
