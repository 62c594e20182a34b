// SCRAM credentials, access control entries and delegation tokens. Bytes are copied out of the records.
import type { Uuid } from "../../base/index.ts";
import type {
  AccessControlEntryRecord,
  DelegationTokenRecord,
  RemoveUserScramCredentialRecord,
  UserScramCredentialRecord,
} from "../../protocol/index.ts";
import type { MetadataDelta } from "./metadata-delta.ts";

/** Kafka's numbers of the SCRAM mechanisms. */
export const scramMechanismCode = { unknown: 0, "SCRAM-SHA-256": 1, "SCRAM-SHA-512": 2 } as const;

export interface ScramCredential {
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
  readonly iterations: number;
}

export class ScramImage {
  /** By mechanism, then by user. */
  readonly credentials = new Map<number, Map<string, ScramCredential>>();

  get(mechanism: number, user: string): ScramCredential | undefined {
    return this.credentials.get(mechanism)?.get(user);
  }

  copy(): ScramImage {
    const copy = new ScramImage();
    for (const [mechanism, users] of this.credentials) copy.credentials.set(mechanism, new Map(users));
    return copy;
  }

  onCredential(record: UserScramCredentialRecord, delta: MetadataDelta): void {
    let users = this.credentials.get(record.mechanism);
    if (users === undefined) {
      users = new Map();
      this.credentials.set(record.mechanism, users);
    }
    users.set(record.name, {
      salt: Buffer.from(record.salt),
      storedKey: Buffer.from(record.storedKey),
      serverKey: Buffer.from(record.serverKey),
      iterations: record.iterations,
    });
    delta.changedScramUsers.add(record.name);
  }

  onRemove(record: RemoveUserScramCredentialRecord, delta: MetadataDelta): void {
    const users = this.credentials.get(record.mechanism);
    users?.delete(record.name);
    if (users?.size === 0) this.credentials.delete(record.mechanism);
    delta.changedScramUsers.add(record.name);
  }
}

/** The numbers are Kafka's: ResourceType, PatternType, AclOperation, AclPermissionType. */
export interface AclEntry {
  readonly id: Uuid;
  readonly resourceType: number;
  readonly resourceName: string;
  readonly patternType: number;
  readonly principal: string;
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}

export class AclsImage {
  readonly byId = new Map<Uuid, AclEntry>();

  copy(): AclsImage {
    const copy = new AclsImage();
    for (const [id, entry] of this.byId) copy.byId.set(id, entry);
    return copy;
  }

  onEntry(record: AccessControlEntryRecord, delta: MetadataDelta): void {
    this.byId.set(record.id, { ...record });
    delta.removedAcls.delete(record.id);
    delta.addedAcls.add(record.id);
  }

  onRemove(id: Uuid, delta: MetadataDelta): void {
    this.byId.delete(id);
    if (!delta.addedAcls.delete(id)) delta.removedAcls.add(id);
  }
}

export interface DelegationToken {
  readonly tokenId: string;
  readonly owner: string;
  readonly requester: string;
  readonly renewers: readonly string[];
  readonly issueTimestampMs: bigint;
  readonly maxTimestampMs: bigint;
  readonly expirationTimestampMs: bigint;
}

export class DelegationTokensImage {
  readonly byId = new Map<string, DelegationToken>();

  copy(): DelegationTokensImage {
    const copy = new DelegationTokensImage();
    for (const [id, token] of this.byId) copy.byId.set(id, token);
    return copy;
  }

  onToken(record: DelegationTokenRecord, delta: MetadataDelta): void {
    this.byId.set(record.tokenId, {
      tokenId: record.tokenId,
      owner: record.owner,
      requester: record.requester,
      renewers: record.renewers,
      issueTimestampMs: record.issueTimestamp,
      maxTimestampMs: record.maxTimestamp,
      expirationTimestampMs: record.expirationTimestamp,
    });
    delta.changedTokens.add(record.tokenId);
  }

  onRemove(tokenId: string, delta: MetadataDelta): void {
    this.byId.delete(tokenId);
    delta.changedTokens.add(tokenId);
  }
}
