// Settings that every client has, with Kafka's names in camel case and Kafka's defaults. The form of a user's TypeScript program; Java's
// property names are taken by properties.ts.
import type { Logger } from "@blumfeld/core/base";
import { limits } from "@blumfeld/core/base";
import { clientError } from "../errors.ts";
import type { SaslOptions } from "../security/sasl.ts";
import { type BrokerAddress, parseBootstrapServers } from "./addresses.ts";
import type { Authenticator } from "./broker-connection.ts";
import type { ClientPorts } from "./context.ts";

export interface ClientOptions {
  /** `host:port`, several with commas or as a list. */
  readonly bootstrapServers: string | readonly string[];
  /** Shown in the broker's logs and metrics. Default "blumfeld". */
  readonly clientId?: string;
  /** How long one request may wait for its answer. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /** How long a call may take with all its retries. Default 60,000. */
  readonly apiTimeoutMs?: number;
  /** Opening a connection: the first try, and the most after repeated failures. Default 10,000 and 30,000. */
  readonly connectTimeoutMs?: number;
  readonly connectTimeoutMsMax?: number;
  /** Before connecting again to a broker that failed: first and most. Default 50 and 1,000. */
  readonly reconnectBackoffMs?: number;
  readonly reconnectBackoffMsMax?: number;
  /** Before repeating a request that failed: first and most. Default 100 and 1,000. */
  readonly retryBackoffMs?: number;
  readonly retryBackoffMsMax?: number;
  /** A refresh of what is known of the cluster is forced after this. Default 300,000. */
  readonly metadataAgeMsMax?: number;
  /** A connection nobody used for this long is closed. Default 540,000. */
  readonly connectionIdleMsMax?: number;
  /** Without any answer about the cluster for this long, start again from `bootstrapServers` (KIP-899, KIP-1102). Default 300,000. */
  readonly rebootstrapAfterMs?: number;
  /** Largest answer accepted from a broker. Default 100 MiB. */
  readonly responseBytesMax?: number;
  readonly logger?: Logger;
  /** Who logs in, and how. Default: nobody. */
  readonly sasl?: SaslOptions;
  /** Runs on each new connection before its first use, in place of `sasl`. */
  readonly authenticator?: Authenticator;
  /** Clock, timers, network, randomness: for tests and simulation. Default: the machine's. */
  readonly ports?: Partial<ClientPorts>;
}

export interface ResolvedClientOptions {
  readonly bootstrapServers: readonly BrokerAddress[];
  readonly clientId: string;
  readonly requestTimeoutMs: number;
  readonly apiTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly connectTimeoutMsMax: number;
  readonly reconnectBackoffMs: number;
  readonly reconnectBackoffMsMax: number;
  readonly retryBackoffMs: number;
  readonly retryBackoffMsMax: number;
  readonly metadataAgeMsMax: number;
  readonly connectionIdleMsMax: number;
  readonly rebootstrapAfterMs: number;
  readonly responseBytesMax: number;
}

/** A whole number within its bounds, or an error that names the option, the value and the bound. */
export function checkedNumber(
  name: string,
  value: number | undefined,
  fallback: number,
  minimum: number,
  maximum: number = Number.MAX_SAFE_INTEGER,
): number {
  if (value === undefined) return fallback;
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    const bound = maximum === Number.MAX_SAFE_INTEGER ? `${minimum} or more` : `${minimum} to ${maximum}`;
    throw clientError("CLIENT_INVALID_OPTION", `${name}=${value} is not a whole number of ${bound}`);
  }
  return value;
}

export function resolveClientOptions(options: ClientOptions): ResolvedClientOptions {
  const parsed = parseBootstrapServers(options.bootstrapServers ?? "");
  if ("problem" in parsed) throw clientError("CLIENT_INVALID_OPTION", parsed.problem);
  const number = (name: keyof ClientOptions, fallback: number, minimum = 0): number =>
    checkedNumber(name, options[name] as number | undefined, fallback, minimum);
  return {
    bootstrapServers: parsed.addresses,
    clientId: options.clientId ?? "blumfeld",
    requestTimeoutMs: number("requestTimeoutMs", 30_000, 1),
    apiTimeoutMs: number("apiTimeoutMs", 60_000, 1),
    connectTimeoutMs: number("connectTimeoutMs", 10_000, 1),
    connectTimeoutMsMax: number("connectTimeoutMsMax", 30_000, 1),
    reconnectBackoffMs: number("reconnectBackoffMs", 50),
    reconnectBackoffMsMax: number("reconnectBackoffMsMax", 1000),
    retryBackoffMs: number("retryBackoffMs", 100),
    retryBackoffMsMax: number("retryBackoffMsMax", 1000),
    metadataAgeMsMax: number("metadataAgeMsMax", 300_000),
    connectionIdleMsMax: number("connectionIdleMsMax", 540_000, 1),
    rebootstrapAfterMs: number("rebootstrapAfterMs", 300_000),
    responseBytesMax: number("responseBytesMax", limits.requestBytesMax, 1024),
  };
}
