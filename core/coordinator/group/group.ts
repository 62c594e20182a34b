// What every kind of group can be asked, whatever its protocol: the offsets' rules and the administrator's questions go through here. A kind of
// group is a class that implements `Group` and a manager that the shard hands its records, requests and timers to.
import type { Uuid } from "../../base/index.ts";
import type { GroupCoordinatorRecord } from "../../protocol/index.ts";
import type { Decision } from "../runtime/index.ts";

/** As ListGroups names them. */
export type GroupType = "classic" | "consumer" | "share" | "streams";

export type GroupRecord = GroupCoordinatorRecord;
export type GroupDecision<Answer> = Decision<Answer, GroupRecord>;

/** Who asks, as far as the group keeps it. */
export interface GroupClient {
  readonly clientId: string;
  /** With the leading slash that Kafka's tools show. */
  readonly clientHost: string;
  readonly apiVersion: number;
  /** Which topics a pattern of its may find; left out: all. Kept until the group's patterns are resolved. */
  readonly mayFindTopic?: ((topic: string) => boolean) | undefined;
}

/** Since when a group's offsets are kept from expiring, or that they are kept altogether. */
export type OffsetsExpireFrom =
  | { readonly kind: "commit" }
  | { readonly kind: "time"; readonly sinceMs: number }
  | { readonly kind: "never" };

export interface OffsetCommitter {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly generationOrEpoch: number;
  readonly isTransactional: boolean;
  readonly apiVersion: number;
}

export interface Group {
  readonly type: GroupType;
  readonly groupId: string;
  /** `consumer`, or what a classic group's members agreed on; empty where it has none. */
  readonly protocolTypeName: string;
  /** As Kafka's tools show it. */
  stateName(): string;
  readonly isEmpty: boolean;
  readonly members: { readonly size: number };
  isSubscribedTo(topic: string): boolean;
  /** 0 where the commit may be made. */
  offsetCommitError(committer: OffsetCommitter): number;
  /** The same where it depends on the partition: KIP-1251's assignment epochs. */
  offsetCommitErrorOf?(committer: OffsetCommitter, topicId: Uuid, partition: number): number;
  offsetFetchError(memberId: string | null, memberEpoch: number): number;
  offsetDeleteError(): number;
  deleteError(): number;
  /** Tombstones for all that the group has in the log, offsets left out. */
  tombstones(): GroupRecord[];
  offsetsExpireFrom(): OffsetsExpireFrom;
}
