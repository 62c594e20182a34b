// The connections of one client: at most one per broker and lane. A lane keeps requests that may wait long (a fetch) from standing before
// those that must not (a heartbeat). Opens on first use, again after a back-off with jitter, closes what is idle. Knows no topics.

import { clientError } from "../errors.ts";
import type { BrokerAddress } from "./addresses.ts";
import { backoffMs } from "./backoff.ts";
import { BrokerConnection } from "./broker-connection.ts";
import type { ClientContext } from "./context.ts";

export type Lane = "main" | "fetch" | "fetch-second" | "coordinator";

interface Slot {
  readonly key: string;
  address: BrokerAddress;
  connection: BrokerConnection | null;
  /** On its way to being ready. */
  unready: BrokerConnection | null;
  opening: Promise<BrokerConnection> | null;
  /** In a row; reset by a connection that became ready. */
  failures: number;
  notBeforeMs: number;
}

export class ConnectionPool {
  readonly #context: ClientContext;
  readonly #slots = new Map<string, Slot>();
  #closed = false;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /** The ready connection to `node`, or null: nothing is opened. */
  ready(node: string, lane: Lane): BrokerConnection | null {
    const connection = this.#slots.get(`${node}/${lane}`)?.connection;
    return connection?.isReady === true ? connection : null;
  }

  /** How long until a connection to `node` may be tried again; 0 where it may now. */
  backoffLeftMs(node: string, lane: Lane): number {
    const slot = this.#slots.get(`${node}/${lane}`);
    return slot === undefined ? 0 : Math.max(0, slot.notBeforeMs - this.#context.clock.monotonicMs());
  }

  /** A ready connection; opened, after the back-off that is due, where there is none. Rejects with a KafkaError when opening fails. */
  async connect(node: string, address: BrokerAddress, lane: Lane, signal?: AbortSignal): Promise<BrokerConnection> {
    const slot = this.#slotOf(node, address, lane);
    const ready = this.ready(node, lane);
    if (ready !== null) return ready;
    const waitMs = this.backoffLeftMs(node, lane);
    if (waitMs > 0 && slot.opening === null) await this.#context.deadlines.sleep(waitMs, signal);
    if (this.#closed) throw clientError("CLIENT_CLOSED", "the client is closed");
    const readyMeanwhile = this.ready(node, lane);
    if (readyMeanwhile !== null) return readyMeanwhile;
    slot.opening ??= this.#open(slot).finally(() => {
      slot.opening = null;
    });
    return slot.opening;
  }

  /** Drops the connections of nodes that are not in `nodes`: they left the cluster or moved to another address. */
  retain(nodes: ReadonlyMap<string, BrokerAddress>): void {
    for (const [key, slot] of this.#slots) {
      const address = nodes.get(key.slice(0, key.lastIndexOf("/")));
      if (address !== undefined && sameAddress(address, slot.address)) continue;
      if ((slot.connection?.inFlightCount ?? 0) > 0 || slot.opening !== null) continue;
      this.#slots.delete(key);
      slot.connection?.close("the broker left the cluster or moved");
    }
  }

  close(): void {
    this.#closed = true;
    for (const slot of this.#slots.values()) {
      slot.connection?.close("the client was closed");
      slot.unready?.close("the client was closed");
    }
    this.#slots.clear();
  }

  #slotOf(node: string, address: BrokerAddress, lane: Lane): Slot {
    const key = `${node}/${lane}`;
    const known = this.#slots.get(key);
    if (known !== undefined) {
      if (sameAddress(known.address, address)) return known;
      known.connection?.close("the broker moved to another address");
    }
    const slot: Slot = { key, address, connection: null, unready: null, opening: null, failures: 0, notBeforeMs: 0 };
    this.#slots.set(key, slot);
    return slot;
  }

  async #open(slot: Slot): Promise<BrokerConnection> {
    const { options, logger } = this.#context;
    const connectTimeoutMs = Math.min(
      options.connectTimeoutMs * 2 ** Math.min(slot.failures, 10),
      Math.max(options.connectTimeoutMs, options.connectTimeoutMsMax),
    );
    try {
      const onClosed = (closed: BrokerConnection, reason: string): void => {
        logger.debug({ broker: slot.key, reason }, "connection closed");
        if (slot.connection !== closed) return;
        slot.connection = null;
        this.#failed(slot);
      };
      const connection = await BrokerConnection.open(
        this.#context,
        slot.address,
        connectTimeoutMs,
        onClosed,
        (created) => {
          slot.unready = created;
        },
      );
      slot.unready = null;
      if (this.#closed) {
        connection.close("the client was closed");
        throw clientError("CLIENT_CLOSED", "the client is closed");
      }
      slot.connection = connection;
      slot.failures = 0;
      slot.notBeforeMs = 0;
      this.#watchIdle(slot, connection);
      return connection;
    } catch (error) {
      this.#failed(slot);
      throw error;
    }
  }

  #failed(slot: Slot): void {
    const { options, random, clock } = this.#context;
    const policy = { initialMs: options.reconnectBackoffMs, maxMs: options.reconnectBackoffMsMax };
    slot.notBeforeMs = clock.monotonicMs() + backoffMs(policy, slot.failures, random);
    slot.failures++;
  }

  #watchIdle(slot: Slot, connection: BrokerConnection): void {
    const { options, deadlines, clock } = this.#context;
    const idleMs = clock.monotonicMs() - connection.lastUsedMs;
    deadlines.after(Math.max(1, options.connectionIdleMsMax - idleMs), () => {
      if (!connection.isReady) return;
      const idle = clock.monotonicMs() - connection.lastUsedMs >= options.connectionIdleMsMax;
      if (!idle || connection.inFlightCount > 0) return this.#watchIdle(slot, connection);
      slot.connection = null;
      connection.close(`idle for ${options.connectionIdleMsMax} ms`);
    });
  }
}

function sameAddress(one: BrokerAddress, other: BrokerAddress): boolean {
  return one.host === other.host && one.port === other.port;
}
