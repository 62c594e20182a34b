// Vote, BeginQuorumEpoch and EndQuorumEpoch (KIP-595, KIP-853, KIP-996) at a node that is its quorum's only voter: what is wrong with a
// request in Kafka's order, then what a leader says that nobody else can displace.
//
// An epoch above its own is not taken over. No other voter can have won it, and one frame of a stranger could use up all epochs there are.
import { type Uuid, uuidZero } from "../base/index.ts";
import { clusterMetadataTopic } from "../model/index.ts";
import {
  type BeginQuorumEpochRequest,
  type EndQuorumEpochRequest,
  ErrorCode,
  type VoteRequest,
} from "../protocol/index.ts";
import type { LeaderAndEpoch } from "./metadata-quorum.ts";

/** What a node is in its quorum. */
export interface QuorumSelf {
  readonly nodeId: number;
  readonly clusterId: string;
  /** Null with kraft.version 0. */
  readonly directoryId: Uuid | null;
  readonly leader: LeaderAndEpoch;
}

/** "whole": at the top of the answer, which has no topics then; "partition": beside the partition, with leader and epoch. */
export type QuorumAnswer =
  | { readonly kind: "whole"; readonly errorCode: ErrorCode }
  | { readonly kind: "partition"; readonly errorCode: ErrorCode };

const whole = (errorCode: ErrorCode): QuorumAnswer => ({ kind: "whole", errorCode });
const partition = (errorCode: ErrorCode): QuorumAnswer => ({ kind: "partition", errorCode });

/** Null where both sides know of no other cluster. */
export function clusterProblem(self: Pick<QuorumSelf, "clusterId">, clusterId: string | null): ErrorCode | null {
  return clusterId === null || clusterId === self.clusterId ? null : ErrorCode.INCONSISTENT_CLUSTER_ID;
}

/** Null for requests that only the leader of exactly this epoch may answer, where this node is it. */
export function leaderProblem(self: Pick<QuorumSelf, "leader" | "nodeId">, epoch: number): ErrorCode | null {
  if (epoch < self.leader.epoch) return ErrorCode.FENCED_LEADER_EPOCH;
  if (epoch > self.leader.epoch) return ErrorCode.UNKNOWN_LEADER_EPOCH;
  return self.leader.leaderId === self.nodeId ? null : ErrorCode.NOT_LEADER_OR_FOLLOWER;
}

/** The one partition that there is; undefined where the request names another, none or more. */
function onlyPartition<Partition extends { readonly partitionIndex: number }>(
  topics: readonly { readonly topicName: string; readonly partitions: readonly Partition[] }[],
): Partition | undefined {
  const [topic, ...others] = topics;
  if (topic === undefined || others.length > 0 || topic.topicName !== clusterMetadataTopic) return undefined;
  const [first] = topic.partitions;
  return topic.partitions.length === 1 && first!.partitionIndex === 0 ? first : undefined;
}

/** A request of one voter to another: of an epoch that has passed, or of nobody. */
function peerProblem(self: QuorumSelf, peerId: number, epoch: number): ErrorCode | null {
  if (epoch < self.leader.epoch) return ErrorCode.FENCED_LEADER_EPOCH;
  return peerId < 0 ? ErrorCode.INVALID_REQUEST : null;
}

/** Whether the request means this node; -1 names nobody and means whoever gets it. */
function isMeant(self: QuorumSelf, voterId: number, directoryId: Uuid): boolean {
  if (voterId === -1) return true;
  const isDirectoryMeant = directoryId === uuidZero || self.directoryId === null || directoryId === self.directoryId;
  return voterId === self.nodeId && isDirectoryMeant;
}

/** The vote is never granted: this node leads. */
export function voteAnswer(self: QuorumSelf, request: VoteRequest): QuorumAnswer {
  const cluster = clusterProblem(self, request.clusterId);
  if (cluster !== null) return whole(cluster);
  const asked = onlyPartition(request.topics);
  if (asked === undefined) return whole(ErrorCode.INVALID_REQUEST);
  const { lastOffset, lastOffsetEpoch, preVote, replicaEpoch, replicaId, voterDirectoryId } = asked;
  const isAhead = preVote ? lastOffsetEpoch > replicaEpoch : lastOffsetEpoch >= replicaEpoch;
  if (lastOffset < 0 || lastOffsetEpoch < 0 || isAhead) return partition(ErrorCode.INVALID_REQUEST);
  const problem = peerProblem(self, replicaId, replicaEpoch);
  if (problem !== null) return partition(problem);
  const isForUs = isMeant(self, request.voterId, voterDirectoryId);
  return partition(isForUs ? ErrorCode.NONE : ErrorCode.INVALID_VOTER_KEY);
}

export function beginQuorumEpochAnswer(self: QuorumSelf, request: BeginQuorumEpochRequest): QuorumAnswer {
  const cluster = clusterProblem(self, request.clusterId);
  if (cluster !== null) return whole(cluster);
  const asked = onlyPartition(request.topics);
  if (asked === undefined) return whole(ErrorCode.INVALID_REQUEST);
  const problem = peerProblem(self, asked.leaderId, asked.leaderEpoch) ?? rivalProblem(self, asked);
  if (problem !== null) return partition(problem);
  const isForUs = isMeant(self, request.voterId, asked.voterDirectoryId);
  return partition(isForUs ? ErrorCode.NONE : ErrorCode.INVALID_VOTER_KEY);
}

export function endQuorumEpochAnswer(self: QuorumSelf, request: EndQuorumEpochRequest): QuorumAnswer {
  const cluster = clusterProblem(self, request.clusterId);
  if (cluster !== null) return whole(cluster);
  const asked = onlyPartition(request.topics);
  if (asked === undefined) return whole(ErrorCode.INVALID_REQUEST);
  const problem = peerProblem(self, asked.leaderId, asked.leaderEpoch) ?? rivalProblem(self, asked);
  return partition(problem ?? ErrorCode.NONE);
}

/** Somebody claims an epoch that this node leads, or one that nobody can have won. */
function rivalProblem(
  self: QuorumSelf,
  { leaderEpoch, leaderId }: { readonly leaderEpoch: number; readonly leaderId: number },
): ErrorCode | null {
  if (leaderEpoch > self.leader.epoch) return ErrorCode.UNKNOWN_LEADER_EPOCH;
  return leaderId === self.leader.leaderId ? null : ErrorCode.INVALID_REQUEST;
}
