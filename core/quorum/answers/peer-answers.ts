// Vote, BeginQuorumEpoch, EndQuorumEpoch and UpdateRaftVoter (KIP-595, KIP-853, KIP-996): what is wrong with a request in Kafka's order, what
// it changes here, and the answer. A vote is on disk before it is said.
import { type Uuid, uuidZero } from "../../base/index.ts";
import { clusterMetadataTopic } from "../../model/index.ts";
import {
  type BeginQuorumEpochRequest,
  type BeginQuorumEpochResponseInit,
  type EndQuorumEpochRequest,
  type EndQuorumEpochResponseInit,
  ErrorCode,
  type UpdateRaftVoterRequest,
  type UpdateRaftVoterResponseInit,
  type VoteRequest,
  type VoteResponseInit,
} from "../../protocol/index.ts";
import type { NodeEndpoints, QuorumCore } from "../quorum-core.ts";
import { Follower } from "../roles/follower.ts";
import { Leader } from "../roles/leader.ts";
import { isVoterKey } from "../voter-set.ts";
import type { PeerContext } from "./peer-context.ts";

/** Older versions have no place for addresses. */
const endpointsVersion = 1;

/** The one partition that there is; undefined where the request names another, none or more. */
function onlyPartition<Partition extends { readonly partitionIndex: number }>(
  topics: readonly { readonly topicName: string; readonly partitions: readonly Partition[] }[],
): Partition | undefined {
  const [topic, ...others] = topics;
  if (topic === undefined || others.length > 0 || topic.topicName !== clusterMetadataTopic) return undefined;
  const [first] = topic.partitions;
  return topic.partitions.length === 1 && first!.partitionIndex === 0 ? first : undefined;
}

/** Null where both sides know of no other cluster. */
export function clusterProblem(clusterId: string | null, asked: string | null): ErrorCode | null {
  return asked === null || clusterId === null || asked === clusterId ? null : ErrorCode.INCONSISTENT_CLUSTER_ID;
}

/** Of requests that only the leader of exactly this epoch may answer; null where this node is it. */
export function leaderProblem(core: Pick<QuorumCore, "epoch" | "isLeader">, epoch: number): ErrorCode | null {
  if (epoch < core.epoch) return ErrorCode.FENCED_LEADER_EPOCH;
  if (epoch > core.epoch) return ErrorCode.UNKNOWN_LEADER_EPOCH;
  return core.isLeader ? null : ErrorCode.NOT_LEADER_OR_FOLLOWER;
}

/** The leader's address on a listener, as answers carry it. */
export function leaderEndpoints(
  core: QuorumCore,
  listenerName: string,
): { readonly nodeId: number; readonly host: string; readonly port: number }[] {
  const { leaderId } = core.leader;
  const endpoints = core.role.leaderPlace?.endpoints ?? core.voters.find(({ id }) => id === leaderId)?.endpoints;
  const endpoint = endpoints?.find(({ name }) => name === listenerName);
  if (leaderId < 0 || endpoint === undefined) return [];
  return [{ nodeId: leaderId, host: endpoint.host, port: endpoint.port }];
}

type Whole = { readonly errorCode: ErrorCode; readonly topics: never[]; readonly nodeEndpoints: never[] };

function whole(errorCode: ErrorCode): Whole {
  return { errorCode, topics: [], nodeEndpoints: [] };
}

function partitionAnswer<Fields extends object>(
  core: QuorumCore,
  context: PeerContext,
  errorCode: ErrorCode,
  fields: Fields,
) {
  const { epoch, leaderId } = core.leader;
  const partition = { partitionIndex: 0, errorCode, leaderId, leaderEpoch: epoch, ...fields };
  return {
    errorCode: ErrorCode.NONE,
    topics: [{ topicName: clusterMetadataTopic, partitions: [partition] }],
    nodeEndpoints: context.apiVersion >= endpointsVersion ? leaderEndpoints(core, context.listenerName) : [],
  };
}

/** A request of one voter to another: of an epoch that has passed, or of nobody. */
function peerProblem(core: QuorumCore, peerId: number, epoch: number): ErrorCode | null {
  if (epoch < core.epoch) return ErrorCode.FENCED_LEADER_EPOCH;
  return peerId < 0 ? ErrorCode.INVALID_REQUEST : null;
}

/**
 * Whether the request means this node; -1 names nobody and means whoever gets it. A node that was given a new disk is not the voter that had
 * its id: that one's votes are lost, and must not be given twice.
 */
function isMeant(core: QuorumCore, voterId: number, directoryId: Uuid): boolean {
  if (voterId === -1) return true;
  return voterId === core.nodeId && (directoryId === uuidZero || directoryId === core.options.directoryId);
}

/**
 * Whether an epoch that a request names may be taken over. Where there is one voter, and it is this node, nobody else can have won an epoch;
 * and no request may use up the epochs that there are (see EpochAllowance).
 */
function epochProblem(core: QuorumCore, epoch: number): ErrorCode | null {
  if (epoch <= core.epoch) return null;
  if (core.isVoter && core.voters.length === 1) return ErrorCode.UNKNOWN_LEADER_EPOCH;
  return core.allowance.take(epoch - core.epoch) ? null : ErrorCode.UNKNOWN_LEADER_EPOCH;
}

export function onVote(core: QuorumCore, request: VoteRequest, context: PeerContext): VoteResponseInit {
  const cluster = clusterProblem(core.clusterId, request.clusterId);
  if (cluster !== null) return whole(cluster);
  const asked = onlyPartition(request.topics);
  if (asked === undefined) return whole(ErrorCode.INVALID_REQUEST);
  const answer = (errorCode: ErrorCode, voteGranted = false): VoteResponseInit =>
    partitionAnswer(core, context, errorCode, { voteGranted });
  const { lastOffsetEpoch, preVote, replicaEpoch, replicaId, voterDirectoryId } = asked;
  const lastOffset = Number(asked.lastOffset);
  const isAhead = preVote ? lastOffsetEpoch > replicaEpoch : lastOffsetEpoch >= replicaEpoch;
  if (lastOffset < 0 || lastOffsetEpoch < 0 || isAhead) return answer(ErrorCode.INVALID_REQUEST);
  const problem = peerProblem(core, replicaId, replicaEpoch);
  if (problem !== null) return answer(problem);
  if (replicaEpoch > core.epoch) {
    const wrong = epochProblem(core, replicaEpoch);
    if (wrong === null) core.toUnattached(replicaEpoch);
    // The only voter leads, and grants nothing.
    else if (core.voters.length > 1) return answer(wrong);
  }
  if (!isMeant(core, request.voterId, voterDirectoryId)) return answer(ErrorCode.INVALID_VOTER_KEY);
  const own = core.logEnd;
  const isUpToDate = lastOffsetEpoch > own.epoch || (lastOffsetEpoch === own.epoch && lastOffset >= own.endOffset);
  const candidate = { id: replicaId, directoryId: asked.replicaDirectoryId };
  const isGranted = core.role.grantsVote(candidate, isUpToDate, preVote);
  if (isGranted && !preVote) core.voteFor(candidate);
  return answer(ErrorCode.NONE, isGranted);
}

export function onBeginQuorumEpoch(
  core: QuorumCore,
  request: BeginQuorumEpochRequest,
  context: PeerContext,
): BeginQuorumEpochResponseInit {
  const cluster = clusterProblem(core.clusterId, request.clusterId);
  if (cluster !== null) return whole(cluster);
  const asked = onlyPartition(request.topics);
  if (asked === undefined) return whole(ErrorCode.INVALID_REQUEST);
  const problem =
    peerProblem(core, asked.leaderId, asked.leaderEpoch) ?? claimProblem(core, asked, request.leaderEndpoints);
  if (problem !== null) return partitionAnswer(core, context, problem, {});
  const isForUs = isMeant(core, request.voterId, asked.voterDirectoryId);
  return partitionAnswer(core, context, isForUs ? ErrorCode.NONE : ErrorCode.INVALID_VOTER_KEY, {});
}

export function onEndQuorumEpoch(
  core: QuorumCore,
  request: EndQuorumEpochRequest,
  context: PeerContext,
): EndQuorumEpochResponseInit {
  const cluster = clusterProblem(core.clusterId, request.clusterId);
  if (cluster !== null) return whole(cluster);
  const asked = onlyPartition(request.topics);
  if (asked === undefined) return whole(ErrorCode.INVALID_REQUEST);
  const problem =
    peerProblem(core, asked.leaderId, asked.leaderEpoch) ?? claimProblem(core, asked, request.leaderEndpoints);
  if (problem !== null) return partitionAnswer(core, context, problem, {});
  const { role } = core;
  if (role instanceof Follower && role.leaderId === asked.leaderId) {
    const { preferredCandidates, preferredSuccessors } = asked;
    const isNew = preferredCandidates.length > 0;
    const rank = isNew
      ? preferredCandidates.findIndex(({ candidateDirectoryId: directoryId, candidateId: id }) =>
          isVoterKey({ id, directoryId: directoryId === uuidZero ? null : directoryId }, core.ownKey),
        )
      : preferredSuccessors.indexOf(core.nodeId);
    role.onLeaderResigned(rank, isNew ? preferredCandidates.length : preferredSuccessors.length);
  }
  return partitionAnswer(core, context, ErrorCode.NONE, {});
}

interface LeaderClaim {
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

/** Somebody says that it leads: it is believed, unless another is known to, or nobody can have won that epoch. */
function claimProblem(
  core: QuorumCore,
  { leaderEpoch, leaderId }: LeaderClaim,
  endpoints: readonly { readonly name: string; readonly host: string; readonly port: number }[],
): ErrorCode | null {
  const wrong = epochProblem(core, leaderEpoch);
  if (wrong !== null) return wrong;
  const known = core.role.leaderId;
  if (leaderEpoch === core.epoch && known >= 0 && known !== leaderId) return ErrorCode.INVALID_REQUEST;
  const name = core.options.listenerName;
  const endpoint = endpoints.find((each) => each.name === name) ?? endpoints[0];
  const places: NodeEndpoints =
    endpoint === undefined ? [] : [{ nodeId: leaderId, host: endpoint.host, port: endpoint.port }];
  core.observe(leaderEpoch, leaderId, places);
  return null;
}

/** A voter tells its addresses and what it supports. */
export async function onUpdateVoter(
  core: QuorumCore,
  request: UpdateRaftVoterRequest,
  context: PeerContext,
): Promise<UpdateRaftVoterResponseInit> {
  const errorCode =
    clusterProblem(core.clusterId, request.clusterId) ??
    leaderProblem(core, request.currentLeaderEpoch) ??
    (await updateVoter(core, request, context));
  const { epoch, leaderId } = core.leader;
  const [endpoint] = leaderEndpoints(core, context.listenerName);
  const address = { host: endpoint?.host ?? "", port: endpoint?.port ?? 0 };
  return { throttleTimeMs: 0, errorCode, currentLeader: { leaderId, leaderEpoch: epoch, ...address } };
}

async function updateVoter(
  core: QuorumCore,
  request: UpdateRaftVoterRequest,
  { listenerName }: PeerContext,
): Promise<ErrorCode> {
  const { maxSupportedVersion, minSupportedVersion } = request.kRaftVersionFeature;
  const isWhole =
    request.voterId >= 0 &&
    request.voterDirectoryId !== uuidZero &&
    request.listeners.some(({ name }) => name === listenerName) &&
    minSupportedVersion >= 0 &&
    maxSupportedVersion >= minSupportedVersion;
  const { role } = core;
  if (!isWhole) return ErrorCode.INVALID_REQUEST;
  if (!(role instanceof Leader)) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
  const endpoints = request.listeners.map(({ host, name, port }) => ({ host, name, port }));
  const voter = { id: request.voterId, directoryId: request.voterDirectoryId, endpoints };
  const { errorCode } = await role.changes.update(voter, { min: minSupportedVersion, max: maxSupportedVersion });
  return errorCode;
}
