// Who asks a node of the quorum, and how: what an answer depends on besides the request.

export interface PeerContext {
  readonly apiVersion: number;
  /** That the request came in on: addresses in the answer are of it. */
  readonly listenerName: string;
  /** The wall clock. */
  readonly nowMs: number;
  /** Calls back when the peer has gone; returns the way to stop that. */
  readonly whenClosed?: (callback: () => void) => () => void;
  readonly isOpen?: () => boolean;
}
