// Vote v0–2 (KIP-595; v1 names voters by directory, KIP-853; v2 pre-votes, KIP-996).
import type { ApiKey } from "@blumfeld/core/protocol";
import { voteAnswer } from "@blumfeld/core/quorum";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { quorumResponse, quorumSelf } from "./quorum-answer.ts";
import { requireClusterOperation } from "./require-cluster.ts";

/** Older versions have no place for addresses. */
const endpointsVersion = 1;

export function createVoteHandler(parts: ControllerParts): Handler<typeof ApiKey.Vote> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    const { apiVersion, listenerName } = context;
    const answer = voteAnswer(quorumSelf(parts), request);
    return quorumResponse(
      parts,
      answer,
      { listenerName, hasEndpoints: apiVersion >= endpointsVersion },
      { voteGranted: false },
    );
  };
}
