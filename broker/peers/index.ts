// Connections from this node to other nodes.
export * from "./peer-failure.ts";
export { peerRequestCountMax, peerUnsentBytesMax } from "./peer-link.ts";
export * from "./peers.ts";
