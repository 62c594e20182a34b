// What a broker's side of a SASL mechanism is: tokens in, tokens out, in the end a user or a refusal. One object for each attempt.

export interface AuthenticatedUser {
  /** The name of a "User:" principal. */
  readonly name: string;
  /** When what it proved itself by ends, on the wall clock; null: never. */
  readonly expiresMs: number | null;
  /** The token it came with is a delegation token (KIP-48). */
  readonly isByToken: boolean;
}

export type SaslStep =
  | { readonly kind: "continue"; readonly bytes: Buffer }
  | { readonly kind: "authenticated"; readonly bytes: Buffer; readonly user: AuthenticatedUser }
  /** `reason` is for this broker's log. A client is told the same of every failure. */
  | { readonly kind: "refused"; readonly reason: string };

export interface SaslServer {
  /** One token of the client. Nothing is kept of `token`. */
  step(token: Buffer): SaslStep | Promise<SaslStep>;
}

/** Longer than any token that a mechanism has use for. */
export const saslTokenBytesMax = 64 * 1024;

export function refused(reason: string): SaslStep {
  return { kind: "refused", reason };
}
