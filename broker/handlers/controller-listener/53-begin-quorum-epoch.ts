// BeginQuorumEpoch v0–1 (KIP-595): somebody says that it leads.
import type { ApiKey } from "@blumfeld/core/protocol";
import { beginQuorumEpochAnswer } from "@blumfeld/core/quorum";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { AclOperation } from "../../security-seam.ts";
import { quorumResponse, quorumSelf } from "./quorum-answer.ts";
import { requireClusterOperation } from "./require-cluster.ts";

/** Older versions have no place for addresses. */
const endpointsVersion = 1;

export function createBeginQuorumEpochHandler(parts: ControllerParts): Handler<typeof ApiKey.BeginQuorumEpoch> {
  return (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    const { apiVersion, listenerName } = context;
    const answer = beginQuorumEpochAnswer(quorumSelf(parts), request);
    return quorumResponse(parts, answer, { listenerName, hasEndpoints: apiVersion >= endpointsVersion }, {});
  };
}
