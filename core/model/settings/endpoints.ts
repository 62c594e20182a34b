// Listeners as server.properties writes them: `NAME://host:port`, and the protocol each name stands for.

export type SecurityProtocol = "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL";
export const securityProtocols: readonly SecurityProtocol[] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

export interface Endpoint {
  /** Upper case, as Kafka normalises it. */
  readonly listenerName: string;
  readonly securityProtocol: SecurityProtocol;
  /** Empty: all interfaces. */
  readonly host: string;
  readonly port: number;
}

export interface ListenerText {
  readonly listenerName: string;
  readonly host: string;
  readonly port: number;
}

/** Null when the text has another form. */
export function parseListener(text: string): ListenerText | null {
  const match = /^([^:/]+):\/\/(?:\[([0-9a-zA-Z%._:-]*)\]|([0-9a-zA-Z%._-]*)|([0-9a-fA-F:%.]+)):(-?\d{1,6})$/.exec(
    text.trim(),
  );
  if (match === null) return null;
  const port = Number(match[5]);
  return { listenerName: match[1]!.toUpperCase(), host: match[2] ?? match[3] ?? match[4] ?? "", port };
}

/** `NAME:PROTOCOL,…`; a string says what is wrong with it. */
export function parseProtocolMap(text: string): ReadonlyMap<string, SecurityProtocol> | string {
  const map = new Map<string, SecurityProtocol>();
  for (const entry of text.split(",").map((part) => part.trim())) {
    if (entry === "") continue;
    const colon = entry.lastIndexOf(":");
    const name = entry.slice(0, colon).trim().toUpperCase();
    const protocol = entry
      .slice(colon + 1)
      .trim()
      .toUpperCase() as SecurityProtocol;
    if (colon < 1 || !securityProtocols.includes(protocol))
      return `has the entry ${JSON.stringify(entry)}, which is not NAME:PROTOCOL with one of ${securityProtocols.join(", ")}`;
    map.set(name, protocol);
  }
  return map;
}

export interface QuorumVoter {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

/** The text's form is the setting's bound (`quorumVoters`). */
export function parseQuorumVoter(text: string): QuorumVoter {
  const [, nodeId = "", bracketed, plain, port = ""] = /^(\d+)@(?:\[([^\]]+)\]|([^:@]+)):(\d+)$/.exec(text) ?? [];
  return { nodeId: Number(nodeId), host: bracketed ?? plain ?? "", port: Number(port) };
}

export function parseHostAndPort(text: string): { host: string; port: number } | null {
  const match = /^(?:\[([^\]]+)\]|([^:@[\]]*)):(\d{1,5})$/.exec(text.trim());
  if (match === null || Number(match[3]) > 65535) return null;
  return { host: match[1] ?? match[2] ?? "", port: Number(match[3]) };
}

/** Brackets around an IPv6 address. */
export function formatHostAndPort(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
