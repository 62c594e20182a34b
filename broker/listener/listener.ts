// One listener of the broker: binds, admits, makes a session of each connection.
import type { Network, NetworkListener } from "@blumfeld/core/base";
import type { ListenerConfig } from "../broker-config.ts";
import type { Router } from "../router.ts";
import type { ConnectionAuthentication } from "../security/connection-authentication.ts";
import { Session } from "../session/session.ts";
import type { ConnectionLimits } from "./connection-limits.ts";

let sessionCount = 0;

export interface ListenerOptions {
  readonly backlog?: number | undefined;
  /** Clients' connections do not count against it: brokers must find each other however many clients there are. */
  readonly isProtected: boolean;
  /** While it is not, peers are turned away: bound, and known by its port, before anything can be answered. Default: it is. */
  readonly isReady?: () => boolean;
  /** What a new connection has to go through first; null: nothing. Default: nothing. */
  readonly authentication?: () => ConnectionAuthentication | null;
}

export class Listener {
  readonly config: ListenerConfig;
  private readonly network: Network;
  private readonly router: Router;
  private readonly limits: ConnectionLimits;
  private readonly sessions = new Set<Session>();
  private readonly options: ListenerOptions;
  private bound: NetworkListener | null = null;

  constructor(
    config: ListenerConfig,
    network: Network,
    router: Router,
    limits: ConnectionLimits,
    options: ListenerOptions,
  ) {
    this.options = options;
    this.config = config;
    this.network = network;
    this.router = router;
    this.limits = limits;
  }

  /** Rejects with the system's code where the address cannot be bound. */
  async start(): Promise<void> {
    const { name, isInterBroker } = this.config;
    const { authentication, backlog, isProtected, isReady } = this.options;
    this.bound = await this.network.listen(
      {
        host: this.config.host,
        port: this.config.port,
        ...(backlog === undefined ? {} : { backlog }),
        admit: (address) => (isReady?.() === false ? -1 : this.limits.admit(address, isProtected)),
        dismissed: (address) => this.limits.release(address),
      },
      (connection) => {
        const session = new Session(
          connection,
          this.router,
          { id: ++sessionCount, listenerName: name, isInterBroker, authentication: authentication?.() ?? null },
          (ended) => {
            this.sessions.delete(ended);
            this.limits.release(connection.remoteAddress);
          },
        );
        this.sessions.add(session);
        return session;
      },
    );
  }

  /** The port that was bound; the configured one may have been 0. */
  get port(): number {
    return this.bound?.port ?? this.config.port;
  }

  get sessionCount(): number {
    return this.sessions.size;
  }

  /** No new connections. */
  async stopAccepting(): Promise<void> {
    await this.bound?.close();
  }

  /** Ends the connections, after what is queued for them. */
  closeSessions(): void {
    for (const session of this.sessions) session.end();
  }
}
