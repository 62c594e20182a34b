// One member of a classic group: what it said when it joined, what it was given, and whom to answer.
import type { JoinGroupResponseInit, SyncGroupResponseInit } from "../../../protocol/index.ts";

export interface ClassicProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export type JoinAnswer = (response: JoinGroupResponseInit) => void;
export type SyncAnswer = (response: SyncGroupResponseInit) => void;

export const noAssignment: Buffer = Buffer.alloc(0);

export interface ClassicMemberFields {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly protocols: readonly ClassicProtocol[];
  readonly assignment?: Buffer;
}

export class ClassicMember {
  memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  protocols: readonly ClassicProtocol[];
  assignment: Buffer;
  /** Has not yet been answered its first join: it knows no member id and sends no heartbeats. */
  isNew = false;
  awaitingJoin: JoinAnswer | null = null;
  awaitingSync: SyncAnswer | null = null;

  constructor(fields: ClassicMemberFields) {
    this.memberId = fields.memberId;
    this.groupInstanceId = fields.groupInstanceId;
    this.clientId = fields.clientId;
    this.clientHost = fields.clientHost;
    this.rebalanceTimeoutMs = fields.rebalanceTimeoutMs;
    this.sessionTimeoutMs = fields.sessionTimeoutMs;
    this.protocols = fields.protocols;
    this.assignment = fields.assignment ?? noAssignment;
  }

  metadataOf(protocolName: string | null): Buffer | null {
    return this.protocols.find((protocol) => protocol.name === protocolName)?.metadata ?? null;
  }

  /** Whether it says the same as when it joined: then a repeated join needs no rebalance. */
  hasSameProtocols(protocols: readonly ClassicProtocol[]): boolean {
    if (protocols.length !== this.protocols.length) return false;
    return protocols.every((protocol, index) => {
      const own = this.protocols[index]!;
      return own.name === protocol.name && own.metadata.equals(protocol.metadata);
    });
  }

  /** A member whose answer is outstanding cannot send heartbeats; a new one is timed all the same, as its connection may be gone. */
  get isExcusedFromHeartbeat(): boolean {
    return !this.isNew && (this.awaitingJoin !== null || this.awaitingSync !== null);
  }
}
