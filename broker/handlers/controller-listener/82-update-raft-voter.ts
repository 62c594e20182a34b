// UpdateRaftVoter v0 (KIP-853): a voter tells its addresses and what it supports. Of a quorum of one the only voter is this node, which knows
// its own and writes them when it begins to lead.
import { uuidZero } from "@blumfeld/core/base";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { clusterProblem, leaderProblem } from "@blumfeld/core/quorum";
import { type ControllerParts, leaderEndpoint } from "../../controller-listener/controller-parts.ts";
import type { Handler, RequestContext } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { requireClusterOperation } from "./require-cluster.ts";

type Key = typeof ApiKey.UpdateRaftVoter;

export function createUpdateRaftVoterHandler(parts: ControllerParts): Handler<Key> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    const { epoch, leaderId } = parts.quorum.leaderAndEpoch;
    const endpoint = leaderEndpoint(parts, context.listenerName);
    const address = { host: endpoint?.host ?? "", port: endpoint?.port ?? 0 };
    return {
      throttleTimeMs: 0,
      errorCode: problemOf(parts, request, context),
      currentLeader: { leaderId, leaderEpoch: epoch, ...address },
    };
  };
}

function problemOf(
  parts: ControllerParts,
  request: Parameters<Handler<Key>>[0],
  { listenerName }: RequestContext<Key>,
): ErrorCode {
  const { quorum } = parts;
  const wrong =
    clusterProblem({ clusterId: parts.clusterId }, request.clusterId) ??
    leaderProblem({ leader: quorum.leaderAndEpoch, nodeId: quorum.nodeId }, request.currentLeaderEpoch);
  if (wrong !== null) return wrong;
  const { maxSupportedVersion, minSupportedVersion } = request.kRaftVersionFeature;
  const isComplete =
    request.voterId >= 0 &&
    request.voterDirectoryId !== uuidZero &&
    request.listeners.some(({ name }) => name === listenerName) &&
    minSupportedVersion >= 0 &&
    maxSupportedVersion >= minSupportedVersion;
  if (!isComplete) return ErrorCode.INVALID_REQUEST;
  if (quorum.kraftVersion < 1) return ErrorCode.UNSUPPORTED_VERSION;
  const voter = quorum.voters.find(({ id }) => id === request.voterId);
  if (voter === undefined || voter.directoryId !== request.voterDirectoryId) return ErrorCode.VOTER_NOT_FOUND;
  const isSupported = minSupportedVersion <= quorum.kraftVersion && quorum.kraftVersion <= maxSupportedVersion;
  if (!isSupported) return ErrorCode.INVALID_REQUEST;
  const isKnown =
    voter.endpoints.length === request.listeners.length &&
    voter.endpoints.every((known) =>
      request.listeners.some(
        ({ host, name, port }) => name === known.name && host === known.host && port === known.port,
      ),
    );
  return isKnown ? ErrorCode.NONE : ErrorCode.INVALID_REQUEST;
}
