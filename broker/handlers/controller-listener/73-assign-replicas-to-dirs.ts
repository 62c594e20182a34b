// AssignReplicasToDirs v0 (KIP-858). core/controller/decide/replica-directories.ts decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { createForwardHandler } from "../forward.ts";

export function createAssignReplicasToDirsHandler(
  parts: Pick<ControllerParts, "controllerChannel">,
): Handler<typeof ApiKey.AssignReplicasToDirs> {
  return createForwardHandler(parts, ApiKey.AssignReplicasToDirs);
}
