// AlterPartitionReassignments v0–1 (KIP-455). The active controller authorises and decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createAlterPartitionReassignmentsHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.AlterPartitionReassignments> {
  return createForwardHandler(parts, ApiKey.AlterPartitionReassignments);
}
