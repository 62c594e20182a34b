// The controller's listeners: bound first, because the cluster's metadata tells their ports; answering once the metadata is there. Until
// then peers are turned away and come again.
//
//   const server = new ControllerServer({ … });
//   await server.bind();                  // server.endpoints() is known
//   server.open(parts);                    // requests are answered
//   await server.close();
import { assert, type Clock, type Logger, type Meter, type Network, type Timers } from "@blumfeld/core/base";
import type { BrokerConfig } from "../broker-config.ts";
import { registerControllerListenerHandlers } from "../handlers/controller-listener/index.ts";
import { HandlerTable } from "../handlers/handler-table.ts";
import { ConnectionLimits } from "../listener/connection-limits.ts";
import { Listener } from "../listener/listener.ts";
import { noQuota } from "../parts.ts";
import { Router } from "../router.ts";
import type { ListenerSecurity } from "../security/listener-security.ts";
import type { ControllerParts } from "./controller-parts.ts";

export interface ControllerServerOptions {
  /** `listeners`: the controller's. */
  readonly config: BrokerConfig;
  readonly network: Network;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly meter: Meter;
  /** What listeners ask of connections. Default: nothing. */
  readonly listenerSecurity?: ListenerSecurity;
}

export class ControllerServer {
  readonly handlers = new HandlerTable();
  private readonly listeners: Listener[];
  private isOpen = false;

  constructor({ clock, config, listenerSecurity, logger, meter, network, timers }: ControllerServerOptions) {
    const router = new Router({
      handlers: this.handlers,
      listenerKind: "controller",
      requestBytesMax: config.requestBytesMax,
      isUnstableApiVersionsEnabled: config.isUnstableApiVersionsEnabled,
      slowRequestMs: config.slowRequestMs,
      quotas: noQuota,
      ...{ clock, timers, logger, meter },
      runWriteTurn: () => {},
    });
    // Its own count: clients cannot fill what controllers need.
    const limits = new ConnectionLimits(config, clock);
    this.listeners = config.listeners.map(
      (listener) =>
        new Listener(listener, network, router, limits, {
          backlog: config.backlog,
          isProtected: false,
          authentication: () => listenerSecurity?.authenticationFor(listener.name) ?? null,
          isReady: () => this.isOpen,
        }),
    );
    meter.gauge("blumfeld_controller_connections", "Open connections to the controller's listeners.", () =>
      this.listeners.reduce((count, listener) => count + listener.sessionCount, 0),
    );
  }

  /** Rejects with the system's code where an address cannot be bound. */
  async bind(): Promise<void> {
    for (const listener of this.listeners) await listener.start();
  }

  /** Where others reach this controller, by listener; ports are the bound ones. */
  endpoints(): { name: string; host: string; port: number }[] {
    return this.listeners.map(({ config, port }) => ({
      name: config.name,
      host: config.advertisedHost ?? config.host,
      port: config.advertisedPort ?? port,
    }));
  }

  /** The bound port of the first listener; 0 where there is none. */
  get port(): number {
    return this.listeners[0]?.port ?? 0;
  }

  open(parts: ControllerParts): void {
    assert(!this.isOpen, "a controller's listeners are opened once");
    registerControllerListenerHandlers(this.handlers, parts);
    this.isOpen = true;
  }

  async close(): Promise<void> {
    this.isOpen = false;
    for (const listener of this.listeners) await listener.stopAccepting();
    for (const listener of this.listeners) listener.closeSessions();
  }
}
