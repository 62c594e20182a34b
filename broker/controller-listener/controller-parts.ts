// What the handlers of a controller listener are given: the metadata side of a node, without logs and partitions.
import type { QuorumReplica, VoterEndpoint } from "@blumfeld/core/quorum";
import type { BrokerParts } from "../parts.ts";

export interface ControllerParts
  extends Pick<
    BrokerParts,
    "config" | "clusterId" | "metadata" | "cluster" | "controllerChannel" | "authorizer" | "timers"
  > {
  readonly quorum: QuorumReplica;
}

/** The leader's address on the listener that was asked on; null where it has none there. */
export function leaderEndpoint(
  { quorum }: Pick<ControllerParts, "quorum">,
  listenerName: string,
): (VoterEndpoint & { readonly nodeId: number }) | null {
  const { leaderId } = quorum.leaderAndEpoch;
  const voter = quorum.voters.find(({ id }) => id === leaderId);
  const endpoint = voter?.endpoints.find(({ name }) => name === listenerName);
  return endpoint === undefined ? null : { ...endpoint, nodeId: leaderId };
}

/** As answers carry it, from the version on that has a place for it. */
export function leaderEndpoints(
  parts: Pick<ControllerParts, "quorum">,
  listenerName: string,
): { readonly nodeId: number; readonly host: string; readonly port: number }[] {
  const endpoint = leaderEndpoint(parts, listenerName);
  return endpoint === null ? [] : [{ nodeId: endpoint.nodeId, host: endpoint.host, port: endpoint.port }];
}
