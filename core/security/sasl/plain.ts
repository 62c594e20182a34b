// SASL PLAIN (RFC 4616): [authzid] NUL authcid NUL passwd. As in Kafka nobody may act as somebody else, nor have an empty name or password.
import { createHash, timingSafeEqual } from "node:crypto";
import { refused, type SaslServer, type SaslStep } from "./sasl-server.ts";

/** Passwords by user. */
export type PlainUsers = ReadonlyMap<string, string>;

const nul = 0;
const noBytes = Buffer.alloc(0);

export class PlainServer implements SaslServer {
  private readonly users: PlainUsers;

  constructor(users: PlainUsers) {
    this.users = users;
  }

  step(token: Buffer): SaslStep {
    const first = token.indexOf(nul);
    const second = first < 0 ? -1 : token.indexOf(nul, first + 1);
    if (second < 0 || token.indexOf(nul, second + 1) >= 0) return refused("a PLAIN token has two NULs");
    const authorizationId = token.toString("utf8", 0, first);
    const user = token.toString("utf8", first + 1, second);
    const password = token.subarray(second + 1);
    if (user === "") return refused("the user name is empty");
    if (password.length === 0) return refused("the password is empty");
    const expected = this.users.get(user);
    // Compared whether the user exists or not: the time taken tells nobody.
    const isRight = areEqual(password, Buffer.from(expected ?? "", "utf8")) && expected !== undefined;
    if (!isRight) return refused("unknown user or wrong password");
    if (authorizationId !== "" && authorizationId !== user) return refused("the authorization id is not the user");
    return { kind: "authenticated", bytes: noBytes, user: { name: user, expiresMs: null, isByToken: false } };
  }
}

/** In a time that depends on neither content nor length: digests of equal length are compared. */
function areEqual(one: Uint8Array, other: Uint8Array): boolean {
  const digest = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
  return timingSafeEqual(digest(one), digest(other));
}

/** What a client sends. Throws RangeError where a NUL is in a name or password. */
export function plainToken(user: string, password: string): Buffer {
  if (user.includes("\0") || password.includes("\0")) throw new RangeError("a user name and a password hold no NUL");
  return Buffer.from(`\0${user}\0${password}`, "utf8");
}
