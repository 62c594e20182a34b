// Logging in to a broker: PLAIN and SCRAM (KIP-152). The password is stretched on the thread pool. Errors name mechanism and user, never the password.
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import type { Random } from "@blumfeld/core/base";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import {
  plainToken,
  ScramClient,
  type ScramMechanism,
  ScramRefused,
  type StretchPassword,
  scramNonce,
} from "@blumfeld/core/security";
import type { AuthenticationSession, Authenticator } from "../connection/broker-connection.ts";
import { clientError, errorFromCode } from "../errors.ts";

export const saslMechanismNames = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;
export type SaslMechanismName = (typeof saslMechanismNames)[number];

export interface SaslOptions {
  readonly mechanism: SaslMechanismName;
  readonly username: string;
  readonly password: string;
}

const stretchWith = promisify(pbkdf2);
const stretch: StretchPassword = (digest, password, salt, iterations, bytes) =>
  stretchWith(password, salt, iterations, bytes, digest);

/** Throws CLIENT_INVALID_OPTION where the options are not whole. */
export function saslAuthenticator(options: SaslOptions, random: Random): Authenticator {
  const { mechanism, password, username } = options;
  if (!saslMechanismNames.includes(mechanism))
    throw clientError(
      "CLIENT_INVALID_OPTION",
      `sasl.mechanism=${mechanism} is none of ${saslMechanismNames.join(", ")}`,
    );
  for (const [name, value] of [
    ["username", username],
    ["password", password],
  ])
    if (typeof value !== "string" || value === "" || value.includes("\0"))
      throw clientError("CLIENT_INVALID_OPTION", `sasl.${name} is empty, or has a NUL in it`);
  return async (session) => {
    const what = `${session.address.host}:${session.address.port} as ${username} by ${mechanism}`;
    const { errorCode, mechanisms } = await session.request(ApiKey.SaslHandshake, { mechanism });
    if (errorCode !== ErrorCode.NONE) {
      const known = mechanisms.length === 0 ? "none" : mechanisms.join(", ");
      throw errorFromCode(errorCode, `log in to ${what}`, `the broker has ${known}`);
    }
    if (mechanism === "PLAIN") await sendToken(session, plainToken(username, password), what);
    else await scramLogin(session, { mechanism, username, password }, random, what);
  };
}

async function scramLogin(
  session: AuthenticationSession,
  options: { readonly mechanism: ScramMechanism; readonly username: string; readonly password: string },
  random: Random,
  what: string,
): Promise<void> {
  const { mechanism, password, username } = options;
  const client = new ScramClient({ mechanism, user: username, password, nonce: scramNonce(random), stretch });
  try {
    const challenge = await sendToken(session, client.first(), what);
    client.check(await sendToken(session, await client.final(challenge), what));
  } catch (error) {
    if (!(error instanceof ScramRefused)) throw error;
    throw clientError("SASL_AUTHENTICATION_FAILED", `log in to ${what}: ${error.message}`, error);
  }
}

async function sendToken(session: AuthenticationSession, authBytes: Buffer, what: string): Promise<Buffer> {
  const answer = await session.request(ApiKey.SaslAuthenticate, { authBytes });
  if (answer.errorCode !== ErrorCode.NONE)
    throw errorFromCode(answer.errorCode, `log in to ${what}`, answer.errorMessage);
  return answer.authBytes;
}
