// The brokers as a client sees them: those that take part, at the address that the client's own listener has.
import type { MetadataImage } from "@blumfeld/core/controller";

export interface ReachableBroker {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
  readonly isFenced: boolean;
}

export function reachableBrokers(image: MetadataImage, listenerName: string, includeFenced = false): ReachableBroker[] {
  const reachable: ReachableBroker[] = [];
  for (const { id, endpoints, fenced, rack } of image.brokers.values()) {
    const endpoint = endpoints.get(listenerName);
    if (endpoint === undefined || (fenced && !includeFenced)) continue;
    reachable.push({ id, host: endpoint.host, port: endpoint.port, rack, isFenced: fenced });
  }
  return reachable;
}

/** Any broker takes what is the controller's and hands it on: the first that takes part is as good as another. -1 where there is none. */
export function activeControllerId(image: MetadataImage): number {
  for (const { id, fenced } of image.brokers.values()) if (!fenced) return id;
  return -1;
}
