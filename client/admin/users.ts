// Users with SCRAM credentials (KIP-554). The broker gets keys that the password cannot be read from; the stretching is done here, off the loop.
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import type { Random } from "@blumfeld/core/base";
import { ApiKey } from "@blumfeld/core/protocol";
import { type ScramMechanism, scramIterationsMin, scramMechanisms } from "@blumfeld/core/security";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode } from "./calls.ts";

/** Kafka's numbers of the mechanisms. */
const mechanismCodes: Readonly<Record<ScramMechanism, number>> = { "SCRAM-SHA-256": 1, "SCRAM-SHA-512": 2 };
const saltBytes = 32;
const stretch = promisify(pbkdf2);

export interface ScramUser {
  readonly name: string;
  readonly credentials: readonly { readonly mechanism: ScramMechanism; readonly iterations: number }[];
}

export interface ScramPassword {
  readonly name: string;
  readonly password: string;
  /** Default "SCRAM-SHA-512". */
  readonly mechanism?: ScramMechanism;
  /** From 4,096, the default, to 16,384. */
  readonly iterations?: number;
}

export interface AlteredUser extends ItemResult {
  readonly name: string;
}

/** Null: all users. Whoever is named and does not exist is left out. */
export async function describeUsers(
  calls: AdminCalls,
  names: readonly string[] | null,
  options: CallOptions,
): Promise<ScramUser[]> {
  const users = names?.map((name) => ({ name })) ?? null;
  const answer = await calls.any(ApiKey.DescribeUserScramCredentials, { users }, options, (whole) =>
    throwCode(whole.errorCode, "describe users", whole.errorMessage),
  );
  return answer.results
    .filter(({ errorCode }) => errorCode === 0)
    .map(({ credentialInfos, user }) => ({
      name: user,
      credentials: credentialInfos.map(({ iterations, mechanism }) => ({
        mechanism: mechanism === mechanismCodes["SCRAM-SHA-256"] ? "SCRAM-SHA-256" : "SCRAM-SHA-512",
        iterations,
      })),
    }));
}

export async function setUserPasswords(
  calls: AdminCalls,
  passwords: readonly ScramPassword[],
  random: Random,
  options: CallOptions,
): Promise<AlteredUser[]> {
  const upsertions = await Promise.all(
    passwords.map(async ({ iterations = scramIterationsMin, mechanism = "SCRAM-SHA-512", name, password }) => {
      const digest = scramMechanisms[mechanism];
      const salt = random.bytes(saltBytes);
      const saltedPassword = await stretch(
        password.normalize("NFKC"),
        salt,
        iterations,
        digest === "sha256" ? 32 : 64,
        digest,
      );
      return { name, mechanism: mechanismCodes[mechanism], iterations, salt, saltedPassword };
    }),
  );
  return alter(calls, { deletions: [], upsertions }, options);
}

export async function deleteUserPasswords(
  calls: AdminCalls,
  users: readonly { readonly name: string; readonly mechanism: ScramMechanism }[],
  options: CallOptions,
): Promise<AlteredUser[]> {
  const deletions = users.map(({ mechanism, name }) => ({ name, mechanism: mechanismCodes[mechanism] }));
  return alter(calls, { deletions, upsertions: [] }, options);
}

async function alter(
  calls: AdminCalls,
  body: Parameters<typeof calls.controller<typeof ApiKey.AlterUserScramCredentials>>[1],
  options: CallOptions,
): Promise<AlteredUser[]> {
  const { results } = await calls.controller(ApiKey.AlterUserScramCredentials, body, options);
  return results.map(({ errorCode, errorMessage, user }) => ({
    name: user,
    error: itemError(errorCode, `change the password of ${user}`, errorMessage),
  }));
}
