// One client metrics subscription, as the settings of a CLIENT_METRICS resource say it: `metrics`, `interval.ms`, `match`.
import type { Uuid } from "@blumfeld/core/base";
import { LinearRegex } from "@blumfeld/core/coordinator";

/** What `match` may ask about a client. */
export interface ClientAttributes {
  readonly clientId: string | null;
  readonly clientSoftwareName: string;
  readonly clientSoftwareVersion: string;
  readonly clientSourceAddress: string;
  readonly clientSourcePort: number;
}

export interface Subscription {
  /** Prefixes of metric names; `*` for all of them. */
  readonly metrics: readonly string[];
  readonly intervalMs: number;
  /** Every one of them must match the whole of its attribute; null matches nothing. */
  readonly match: readonly { readonly attribute: string; readonly pattern: LinearRegex | null }[];
}

function listOf(text: string | undefined): string[] {
  if (text === undefined) return [];
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

/** Settings that are in the metadata were validated when they were set; an entry that cannot be read all the same matches nobody. */
export function parseSubscription(settings: ReadonlyMap<string, string>, intervalMsDefault: number): Subscription {
  const match = listOf(settings.get("match")).map((entry) => {
    const equals = entry.indexOf("=");
    return {
      attribute: entry.slice(0, Math.max(equals, 0)).trim(),
      pattern: patternOf(entry.slice(equals + 1).trim()),
    };
  });
  const interval = Number(settings.get("interval.ms"));
  return {
    metrics: listOf(settings.get("metrics")),
    intervalMs: Number.isSafeInteger(interval) && interval > 0 ? interval : intervalMsDefault,
    match,
  };
}

function patternOf(text: string): LinearRegex | null {
  try {
    return new LinearRegex(text);
  } catch {
    return null;
  }
}

export function isMatch(subscription: Subscription, clientInstanceId: Uuid, client: ClientAttributes): boolean {
  return subscription.match.every(({ attribute, pattern }) => {
    const value = attributeOf(attribute, clientInstanceId, client);
    return value !== null && pattern?.matches(value) === true;
  });
}

function attributeOf(attribute: string, clientInstanceId: Uuid, client: ClientAttributes): string | null {
  switch (attribute) {
    case "client_instance_id":
      return clientInstanceId;
    case "client_id":
      return client.clientId;
    case "client_software_name":
      return client.clientSoftwareName;
    case "client_software_version":
      return client.clientSoftwareVersion;
    case "client_source_address":
      return client.clientSourceAddress;
    case "client_source_port":
      return String(client.clientSourcePort);
    default:
      return null;
  }
}
