// What ShareFetch and ShareAcknowledge share on this broker: sessions, share partitions, and what may be asked of a topic.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { acknowledgeTypes } from "@blumfeld/core/coordinator";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { AclOperation, type RequestOrigin, ResourceType } from "../security-seam.ts";
import type { ShareCoordinator } from "../shards/share-coordinator.ts";
import { DeadLetterTopics } from "./dead-letter-topics.ts";
import type { HostedSharePartition } from "./hosted-partition.ts";
import { HostedSharePartitions } from "./hosted-partitions.ts";
import { type ShareSession, ShareSessionCache } from "./share-session.ts";

export const shareSessionEpochs = { initial: 0, final: -1 } as const;

/** As the requests carry them. */
export interface WireAcknowledgement {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly acknowledgeTypes: readonly number[];
}

export type FoundShare =
  | { readonly topic: string; readonly hosted: HostedSharePartition }
  | { readonly topic: string; readonly errorCode: number };

export interface AcknowledgeRules {
  readonly typeMax: number;
  readonly isRenewAck: boolean;
}

/** Types that each version knows: 4 (renew) came with version 2. */
const renewFrom = 2;

export class ShareBroker {
  readonly shares: ShareCoordinator;
  readonly hosted: HostedSharePartitions;
  readonly sessions: ShareSessionCache;
  private readonly parts: BrokerParts;

  constructor(parts: BrokerParts, shares: ShareCoordinator) {
    this.parts = parts;
    this.shares = shares;
    this.hosted = new HostedSharePartitions({ ...parts, shares, deadLetterTopics: new DeadLetterTopics(parts) });
    this.sessions = new ShareSessionCache(
      () => shares.config.sessionCountMax,
      (session) => this.release(session),
    );
  }

  private release({ groupId, items, memberId }: ShareSession): void {
    for (const item of items.values()) this.hosted.existing({ groupId, ...item })?.releaseMember(memberId);
  }

  find(origin: RequestOrigin, groupId: string, topicId: Uuid, partition: number): FoundShare {
    const { image } = this.parts.metadata;
    const topic = topicId === uuidZero ? undefined : image.topics.byId.get(topicId);
    if (topic === undefined) return { topic: "", errorCode: ErrorCode.UNKNOWN_TOPIC_ID };
    const { name } = topic;
    if (!this.parts.authorizer.authorize(origin, AclOperation.Read, ResourceType.Topic, name))
      return { topic: name, errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED };
    if (topic.partitions[partition] === undefined)
      return { topic: name, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
    const hosted = this.hosted.get({ groupId, topicId, partition });
    return hosted === null ? { topic: name, errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER } : { topic: name, hosted };
  }

  rules(groupId: string, apiVersion: number, isRenewAck: boolean): AcknowledgeRules {
    const mayRenew = apiVersion >= renewFrom && this.shares.config.mayRenew(groupId);
    return { typeMax: mayRenew ? acknowledgeTypes.renew : acknowledgeTypes.reject, isRenewAck };
  }

  async acknowledge(
    found: FoundShare,
    memberId: string,
    batches: readonly WireAcknowledgement[],
    rules: AcknowledgeRules,
  ): Promise<{ readonly errorCode: number; readonly errorMessage: string | null }> {
    if (!("hosted" in found)) return { errorCode: found.errorCode, errorMessage: null };
    const problem = acknowledgementProblem(batches, rules);
    if (problem !== null) return { errorCode: ErrorCode.INVALID_REQUEST, errorMessage: problem };
    const asked = batches.map((batch) => ({
      firstOffset: Number(batch.firstOffset),
      lastOffset: Number(batch.lastOffset),
      types: batch.acknowledgeTypes,
    }));
    return { errorCode: await found.hosted.acknowledge(memberId, asked), errorMessage: null };
  }
}

/** What contradicts itself in a partition's acknowledgements; null where nothing does. */
export function acknowledgementProblem(
  batches: readonly WireAcknowledgement[],
  { typeMax, isRenewAck }: AcknowledgeRules,
): string | null {
  let last = -1n;
  for (const { firstOffset, lastOffset, acknowledgeTypes: types } of batches) {
    if (firstOffset > lastOffset || firstOffset < 0n || lastOffset > BigInt(Number.MAX_SAFE_INTEGER))
      return "The offsets of an acknowledgement batch are out of order.";
    if (firstOffset <= last) return "Acknowledgement batches overlap or are out of order.";
    last = lastOffset;
    if (types.length === 0) return "An acknowledgement batch has no acknowledge type.";
    if (types.length > 1 && BigInt(types.length) !== lastOffset - firstOffset + 1n)
      return "An acknowledgement batch has neither one acknowledge type nor one for each offset.";
    for (const type of types) {
      if (type < 0 || type > typeMax) return `Acknowledge type ${type} is unknown.`;
      if (type === acknowledgeTypes.renew && !isRenewAck) return "Acknowledge type 4 needs a renewing request.";
    }
  }
  return null;
}
