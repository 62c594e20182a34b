// Why a request to another node has no answer. Expected at any time in a cluster: whoever asked tries again, elsewhere or later.

/**
 * "unreachable": no connection, so nothing was asked. "timeout": no answer in time; it may have been done. "closed": the connection ended
 * first; it may have been done. "unsupported-version": the other side knows no version that can carry it. "malformed": the answer cannot be
 * read, or is of another request. "overloaded": too much waits for this node already; nothing was asked.
 */
export type PeerFailureKind = "unreachable" | "timeout" | "closed" | "unsupported-version" | "malformed" | "overloaded";

export class PeerFailure extends Error {
  override name = "PeerFailure";
  readonly kind: PeerFailureKind;

  constructor(
    kind: PeerFailureKind,
    peer: { readonly id: number; readonly host: string; readonly port: number },
    reason: string,
    cause?: unknown,
  ) {
    const who = peer.id < 0 ? "" : `node ${peer.id} at `;
    super(`${who}${peer.host}:${peer.port}: ${kind}: ${reason}`, { cause });
    this.kind = kind;
  }
}
