// Ports that nobody has now. Somebody may take one before it is used: whoever then cannot bind it says so.
import type { Network } from "@blumfeld/core/base";

/** All different: each is held until the last is found. */
export async function freePorts(network: Network, host: string, count: number): Promise<number[]> {
  const listeners = [];
  try {
    for (let found = 0; found < count; found++) {
      listeners.push(
        await network.listen({ host, port: 0, admit: () => -1 }, () => {
          throw new Error("nobody is admitted");
        }),
      );
    }
    return listeners.map(({ port }) => port);
  } finally {
    await Promise.all(listeners.map((listener) => listener.close()));
  }
}
