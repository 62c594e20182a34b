// AlterPartition v2–3 (KIP-497; v3 with the epochs of the members, KIP-903). core/controller/decide/alter-partition.ts decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { createForwardHandler } from "../forward.ts";

export function createAlterPartitionHandler(
  parts: Pick<ControllerParts, "controllerChannel">,
): Handler<typeof ApiKey.AlterPartition> {
  return createForwardHandler(parts, ApiKey.AlterPartition);
}
