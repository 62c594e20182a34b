// CreatePartitions v0–3. The active controller authorises and decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createCreatePartitionsHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.CreatePartitions> {
  return createForwardHandler(parts, ApiKey.CreatePartitions);
}
