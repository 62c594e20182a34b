// Bootstrap addresses: `host:port`, IPv6 in brackets, a list or a comma-separated string. Resolves no name.

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

export const bootstrapServerCountMax = 1000;

/** The addresses in their order without repeats, or what is wrong with which part. */
export function parseBootstrapServers(
  servers: string | readonly string[],
): { readonly addresses: BrokerAddress[] } | { readonly problem: string } {
  const parts = (typeof servers === "string" ? servers.split(",") : servers).map((part) => part.trim());
  const addresses: BrokerAddress[] = [];
  const seen = new Set<string>();
  for (const part of parts) {
    if (part === "" || seen.has(part)) continue;
    seen.add(part);
    const match = /^(?:[A-Za-z_]+:\/\/)?(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(part);
    const port = Number(match?.[3]);
    if (match === null || port < 1 || port > 65535) {
      return { problem: `bootstrapServers: "${part}" is not host:port with a port from 1 to 65535` };
    }
    addresses.push({ host: (match[1] ?? match[2])!, port });
  }
  if (addresses.length === 0) return { problem: "bootstrapServers is empty; give at least one host:port" };
  if (addresses.length > bootstrapServerCountMax) {
    return { problem: `bootstrapServers: ${addresses.length} addresses are more than ${bootstrapServerCountMax}` };
  }
  return { addresses };
}
