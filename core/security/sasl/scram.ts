// SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677; KIP-84): the server's part from stored keys, the client's from a password. The password is
// stretched by whoever calls: that takes milliseconds, and belongs off the loop.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Random } from "../../base/index.ts";
import { refused, type SaslServer, type SaslStep } from "./sasl-server.ts";
import { readClientFinal, readClientFirst, readServerFinal, readServerFirst, scramName } from "./scram-messages.ts";

export const scramMechanisms = { "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512" } as const;
export type ScramMechanism = keyof typeof scramMechanisms;
type Digest = (typeof scramMechanisms)[ScramMechanism];

const digestBytes: Readonly<Record<Digest, number>> = { sha256: 32, sha512: 64 };

/** RFC 7677's floor. */
export const scramIterationsMin = 4096;
/** A server that asks a client for more wants its processor, not its proof: four times what Kafka's brokers store at most. */
export const scramIterationsAskedMax = 4 * 16_384;

export interface ScramKeys {
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
  readonly iterations: number;
}

/** The keys of a user for the mechanism; undefined: there is no such user, or it has none for it. */
export type ScramLookup = (user: string, isToken: boolean) => ScramKeys | undefined;

const hmac = (digest: Digest, key: Uint8Array, data: string | Uint8Array): Buffer =>
  createHmac(digest, key).update(data).digest();
const hash = (digest: Digest, data: Uint8Array): Buffer => createHash(digest).update(data).digest();

function xor(one: Uint8Array, other: Uint8Array): Buffer {
  const out = Buffer.alloc(one.length);
  for (let index = 0; index < out.length; index++) out[index] = one[index]! ^ other[index]!;
  return out;
}

/** A nonce that nobody can guess, of 32 characters. */
export function scramNonce(random: Random): string {
  return random.bytes(24).toString("base64");
}

/** The keys that are stored for a salted password (RFC 5802 section 3). */
export function scramKeysOf(
  mechanism: ScramMechanism,
  saltedPassword: Uint8Array,
  salt: Buffer,
  iterations: number,
): ScramKeys {
  const digest = scramMechanisms[mechanism];
  return {
    salt,
    iterations,
    storedKey: hash(digest, hmac(digest, saltedPassword, "Client Key")),
    serverKey: hmac(digest, saltedPassword, "Server Key"),
  };
}

export interface ScramServerOptions {
  readonly mechanism: ScramMechanism;
  readonly keysOf: ScramLookup;
  /** This side's part, fresh for each exchange: `scramNonce`. */
  readonly nonce: string;
  /** Kept by the broker for its life: gives names that nobody has a salt that stays the same. */
  readonly decoySecret: Uint8Array;
}

export class ScramServer implements SaslServer {
  private readonly options: ScramServerOptions;
  private readonly digest: Digest;
  private state: Asked | "begin" | "ended" = "begin";

  constructor(options: ScramServerOptions) {
    this.options = options;
    this.digest = scramMechanisms[options.mechanism];
  }

  step(token: Buffer): SaslStep {
    const { state } = this;
    this.state = "ended";
    const text = token.toString("utf8");
    if (state === "begin") return this.first(text);
    return state === "ended" ? refused("a token after the exchange had ended") : this.final(text, state);
  }

  private first(text: string): SaslStep {
    const message = readClientFirst(text);
    if (message === null) return refused("the client's first SCRAM message is malformed");
    const { authorizationId, extensions, nonce, user } = message;
    if (authorizationId !== null && authorizationId !== user) return refused("the authorization id is not the user");
    const isToken = extensions.get("tokenauth") === "true";
    const known = this.options.keysOf(user, isToken);
    // Somebody unknown is asked for a proof like everybody else, and fails by it.
    const keys = known ?? this.decoy(user);
    const fullNonce = nonce + this.options.nonce;
    const challenge = `r=${fullNonce},s=${keys.salt.toString("base64")},i=${keys.iterations}`;
    const { bare, gs2Header } = message;
    this.state = { bare, challenge, fullNonce, gs2Header, isKnown: known !== undefined, isToken, keys, user };
    return { kind: "continue", bytes: Buffer.from(challenge, "utf8") };
  }

  private final(text: string, asked: Asked): SaslStep {
    const message = readClientFinal(text);
    if (message === null) return refused("the client's last SCRAM message is malformed");
    const { bare, challenge, fullNonce, gs2Header, isKnown, isToken, keys, user } = asked;
    if (message.nonce !== fullNonce) return refused("the nonce is not the one that was given");
    if (message.channelBinding.toString("utf8") !== gs2Header) return refused("the channel binding is another");
    const { digest } = this;
    if (message.proof.length !== digestBytes[digest]) return refused("the proof has the wrong length");
    const authenticated = `${bare},${challenge},${message.withoutProof}`;
    const clientKey = xor(message.proof, hmac(digest, keys.storedKey, authenticated));
    if (!timingSafeEqual(hash(digest, clientKey), keys.storedKey) || !isKnown)
      return refused("unknown user or wrong password");
    const signature = hmac(digest, keys.serverKey, authenticated).toString("base64");
    const bytes = Buffer.from(`v=${signature}`, "utf8");
    return { kind: "authenticated", bytes, user: { name: user, expiresMs: null, isByToken: isToken } };
  }

  private decoy(user: string): ScramKeys {
    const { digest } = this;
    const made = hmac(digest, this.options.decoySecret, user);
    return { salt: made.subarray(0, 24), storedKey: made, serverKey: made, iterations: scramIterationsMin };
  }
}

interface Asked {
  readonly bare: string;
  readonly challenge: string;
  readonly fullNonce: string;
  readonly gs2Header: string;
  readonly isKnown: boolean;
  readonly isToken: boolean;
  readonly keys: ScramKeys;
  readonly user: string;
}

/** PBKDF2 of the mechanism's digest, as long as the digest. */
export type StretchPassword = (
  digest: Digest,
  password: string,
  salt: Uint8Array,
  iterations: number,
  bytes: number,
) => Promise<Buffer>;

export interface ScramClientOptions {
  readonly mechanism: ScramMechanism;
  readonly user: string;
  readonly password: string;
  /** The user is a delegation token's id, the password its hmac. */
  readonly isToken?: boolean;
  /** This side's part, fresh for each exchange: `scramNonce`. */
  readonly nonce: string;
  readonly stretch: StretchPassword;
}

/** Refuses a server that does not know the password either, or that asks for too much. Its messages are errors of the login. */
export class ScramRefused extends Error {
  override name = "ScramRefused";
}

export class ScramClient {
  private readonly options: ScramClientOptions;
  private readonly nonce: string;
  private readonly bare: string;
  private expected: Buffer | null = null;

  constructor(options: ScramClientOptions) {
    this.options = options;
    this.nonce = options.nonce;
    const extension = options.isToken === true ? ",tokenauth=true" : "";
    this.bare = `n=${scramName(options.user)},r=${this.nonce}${extension}`;
  }

  first(): Buffer {
    return Buffer.from(`n,,${this.bare}`, "utf8");
  }

  /** The proof. Throws ScramRefused. */
  async final(challenge: Buffer): Promise<Buffer> {
    const { mechanism, password, stretch } = this.options;
    const digest = scramMechanisms[mechanism];
    const text = challenge.toString("utf8");
    const asked = readServerFirst(text);
    if (asked === null) throw new ScramRefused("the server's first SCRAM message is malformed");
    const { iterations, nonce, salt } = asked;
    if (!nonce.startsWith(this.nonce) || nonce.length === this.nonce.length)
      throw new ScramRefused("the server's nonce does not continue ours");
    if (iterations < scramIterationsMin || iterations > scramIterationsAskedMax)
      throw new ScramRefused(
        `the server asks for ${iterations} iterations; from ${scramIterationsMin} to ${scramIterationsAskedMax} are done`,
      );
    const salted = await stretch(digest, password.normalize("NFKC"), salt, iterations, digestBytes[digest]);
    const clientKey = hmac(digest, salted, "Client Key");
    const withoutProof = `c=${Buffer.from("n,,").toString("base64")},r=${nonce}`;
    const authenticated = `${this.bare},${text},${withoutProof}`;
    const proof = xor(clientKey, hmac(digest, hash(digest, clientKey), authenticated));
    this.expected = hmac(digest, hmac(digest, salted, "Server Key"), authenticated);
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`, "utf8");
  }

  /** The server has proved that it knows the password too. Throws ScramRefused. */
  check(last: Buffer): void {
    const answer = readServerFinal(last.toString("utf8"));
    if (answer === null || this.expected === null)
      throw new ScramRefused("the server's last SCRAM message is malformed");
    if ("error" in answer) throw new ScramRefused(`the server refuses: ${answer.error}`);
    const { expected } = this;
    if (answer.signature.length !== expected.length || !timingSafeEqual(answer.signature, expected))
      throw new ScramRefused("the server does not know the password");
  }
}
