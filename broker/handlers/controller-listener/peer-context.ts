// A request's context as the quorum sees its peers.
import type { PeerContext } from "@blumfeld/core/quorum";
import type { RequestContext } from "../../request-context.ts";

export function peerContext(context: RequestContext): PeerContext {
  const { apiVersion, connection, listenerName, nowMs } = context;
  return {
    ...{ apiVersion, listenerName, nowMs },
    whenClosed: (callback) => connection.whenClosed(callback),
    isOpen: () => connection.isOpen,
  };
}
