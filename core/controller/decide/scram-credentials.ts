// AlterUserScramCredentials: bounds of the iterations, keys from the salted password (RFC 5802), one change of a user in a request.
import { createHash, createHmac } from "node:crypto";
import {
  type AlterUserScramCredentialsRequest,
  type AlterUserScramCredentialsResponseInit,
  ErrorCode,
  type MetadataRecordInit,
} from "../../protocol/index.ts";
import { metadataVersions, type ScramImage, scramMechanismCode } from "../image/index.ts";
import { type DecideContext, type Decision, decisionOf, type Refusal, refusal } from "./decision.ts";

/** RFC 7677's floor, and the most work that a server takes on for a login. */
export const scramIterationsMin = 4096;
export const scramIterationsMax = 16_384;

const digests: Readonly<Record<number, string>> = {
  [scramMechanismCode["SCRAM-SHA-256"]]: "sha256",
  [scramMechanismCode["SCRAM-SHA-512"]]: "sha512",
};

export function alterUserScramCredentials(
  context: DecideContext,
  request: AlterUserScramCredentialsRequest,
): Decision<AlterUserScramCredentialsResponseInit> {
  const { deletions, upsertions } = request;
  const counts = new Map<string, number>();
  for (const { name } of [...deletions, ...upsertions]) counts.set(name, (counts.get(name) ?? 0) + 1);
  const records: MetadataRecordInit[] = [];
  const outcomes = new Map<string, Refusal>();
  const decide = (user: string, refused: Refusal | null, record: () => MetadataRecordInit): void => {
    const problem = counts.get(user)! > 1 ? twice : (levelProblem(context) ?? refused);
    if (problem === null) records.push(record());
    outcomes.set(user, problem ?? refusal(ErrorCode.NONE, null));
  };
  for (const { name, mechanism } of deletions) {
    const value = { name, mechanism };
    decide(name, deletionProblem(context.image.scram, name, mechanism), () => ({
      type: "RemoveUserScramCredentialRecord",
      version: 0,
      value,
    }));
  }
  for (const upsertion of upsertions) {
    decide(upsertion.name, upsertionProblem(upsertion), () => credentialRecord(upsertion));
  }
  const results = [...outcomes].map(([user, outcome]) => ({ user, ...outcome }));
  return decisionOf({ throttleTimeMs: 0, results }, records);
}

const twice = refusal(ErrorCode.DUPLICATE_RESOURCE, "A user credential cannot be altered twice in one request");

function levelProblem(context: DecideContext): Refusal | null {
  if (context.image.features.metadataVersion >= metadataVersions.scram) return null;
  return refusal(ErrorCode.UNSUPPORTED_VERSION, "The finalized metadata.version does not have SCRAM credentials.");
}

type Upsertion = AlterUserScramCredentialsRequest["upsertions"][number];

function userProblem(name: string, mechanism: number): Refusal | null {
  if (name === "") return refusal(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Username must not be empty");
  if (digests[mechanism] !== undefined) return null;
  return refusal(ErrorCode.UNSUPPORTED_SASL_MECHANISM, `Unknown SCRAM mechanism ${mechanism}`);
}

function deletionProblem(scram: ScramImage, name: string, mechanism: number): Refusal | null {
  const problem = userProblem(name, mechanism);
  if (problem !== null || scram.get(mechanism, name) !== undefined) return problem;
  return refusal(ErrorCode.RESOURCE_NOT_FOUND, "Attempt to delete a user credential that does not exist");
}

function upsertionProblem({ name, mechanism, iterations }: Upsertion): Refusal | null {
  const problem = userProblem(name, mechanism);
  if (problem !== null) return problem;
  if (iterations < scramIterationsMin) {
    return refusal(
      ErrorCode.UNACCEPTABLE_CREDENTIAL,
      `Too few iterations: ${iterations} is below ${scramIterationsMin}`,
    );
  }
  if (iterations > scramIterationsMax) {
    return refusal(
      ErrorCode.UNACCEPTABLE_CREDENTIAL,
      `Too many iterations: ${iterations} is above ${scramIterationsMax}`,
    );
  }
  return null;
}

function credentialRecord({ name, mechanism, salt, iterations, saltedPassword }: Upsertion): MetadataRecordInit {
  const digest = digests[mechanism]!;
  const keyOf = (label: string): Buffer => createHmac(digest, saltedPassword).update(label).digest();
  const storedKey = createHash(digest).update(keyOf("Client Key")).digest();
  return {
    type: "UserScramCredentialRecord",
    version: 0,
    value: { name, mechanism, salt: Buffer.from(salt), storedKey, serverKey: keyOf("Server Key"), iterations },
  };
}
