// AddRaftVoter v0–1, RemoveRaftVoter v0 and the upgrade of kraft.version (KIP-853) at the active controller.

import type {
  AddRaftVoterRequest,
  AddRaftVoterResponseInit,
  RemoveRaftVoterRequest,
  RemoveRaftVoterResponseInit,
} from "../../protocol/index.ts";
import { ErrorCode } from "../../protocol/index.ts";
import type { QuorumCore } from "../quorum-core.ts";
import { Leader } from "../roles/leader.ts";
import { isWholeVoter, type VoterChangeAnswer, type VoterChanges } from "../voter-changes.ts";
import { clusterProblem } from "./peer-answers.ts";

function refused(errorCode: ErrorCode, errorMessage: string) {
  return { throttleTimeMs: 0, errorCode, errorMessage };
}

function answered({ errorCode, message }: VoterChangeAnswer) {
  return { throttleTimeMs: 0, errorCode, errorMessage: message };
}

/** What every change must first hold: the leader's, or what to answer. */
function changesOf(
  core: QuorumCore,
  clusterId: string | null,
): VoterChanges | { readonly answer: ReturnType<typeof refused> } {
  if (clusterProblem(core.clusterId, clusterId) !== null) {
    return { answer: refused(ErrorCode.INCONSISTENT_CLUSTER_ID, `this is cluster ${core.clusterId}`) };
  }
  const { role } = core;
  if (!core.isRunning || !(role instanceof Leader)) {
    return { answer: refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this node does not lead the metadata quorum") };
  }
  return role.changes;
}

export async function onAddVoter(core: QuorumCore, request: AddRaftVoterRequest): Promise<AddRaftVoterResponseInit> {
  const changes = changesOf(core, request.clusterId);
  if ("answer" in changes) return changes.answer;
  const endpoints = request.listeners.map(({ host, name, port }) => ({ host, name, port }));
  const voter = { id: request.voterId, directoryId: request.voterDirectoryId, endpoints };
  const { listenerName } = core.options;
  const isReachable = listenerName === undefined || endpoints.some(({ name }) => name === listenerName);
  if (!isWholeVoter(voter) || !isReachable) {
    return refused(
      ErrorCode.INVALID_REQUEST,
      "a voter has an id, a directory id and an endpoint of the controllers' listener",
    );
  }
  const { ackWhenCommitted, timeoutMs } = request;
  return answered(await changes.add(voter, { timeoutMs, ackWhenCommitted }));
}

export async function onRemoveVoter(
  core: QuorumCore,
  request: RemoveRaftVoterRequest,
): Promise<RemoveRaftVoterResponseInit> {
  const changes = changesOf(core, request.clusterId);
  if ("answer" in changes) return changes.answer;
  const key = { id: request.voterId, directoryId: request.voterDirectoryId };
  return answered(await changes.remove(key, core.settings.requestTimeoutMs));
}

export async function upgradeKraftVersion(
  core: QuorumCore,
  version: number,
  isValidateOnly: boolean,
): Promise<VoterChangeAnswer> {
  const changes = changesOf(core, null);
  if ("answer" in changes) return { errorCode: changes.answer.errorCode, message: changes.answer.errorMessage };
  if (version === core.kraftVersion) return { errorCode: ErrorCode.NONE, message: null };
  if (version !== 1) {
    const message = `kraft.version ${core.kraftVersion} cannot become ${version}`;
    return { errorCode: ErrorCode.INVALID_UPDATE_VERSION, message };
  }
  return changes.upgrade(isValidateOnly);
}
