// What every part of one client shares: its settings, its ports, its deadlines.
import type { Clock, Logger, Network, Random, Timers } from "@blumfeld/core/base";
import type { Authenticator } from "./broker-connection.ts";
import type { Deadlines } from "./deadlines.ts";
import type { ResolvedClientOptions } from "./options.ts";

export interface ClientPorts {
  readonly network: Network;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

export interface ClientContext extends ClientPorts {
  readonly options: ResolvedClientOptions;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly authenticator: Authenticator | null;
  readonly softwareVersion: string;
}

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
