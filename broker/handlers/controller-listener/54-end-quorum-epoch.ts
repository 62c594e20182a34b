// EndQuorumEpoch v0–1 (KIP-595): a leader resigns.
import type { ApiKey } from "@blumfeld/core/protocol";
import { endQuorumEpochAnswer } from "@blumfeld/core/quorum";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { quorumResponse, quorumSelf } from "./quorum-answer.ts";
import { requireClusterOperation } from "./require-cluster.ts";

/** Older versions have no place for addresses. */
const endpointsVersion = 1;

export function createEndQuorumEpochHandler(parts: ControllerParts): Handler<typeof ApiKey.EndQuorumEpoch> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    const { apiVersion, listenerName } = context;
    const answer = endQuorumEpochAnswer(quorumSelf(parts), request);
    return quorumResponse(parts, answer, { listenerName, hasEndpoints: apiVersion >= endpointsVersion }, {});
  };
}
