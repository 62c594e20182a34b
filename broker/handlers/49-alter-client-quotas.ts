// AlterClientQuotas v0–1 (KIP-546). The active controller authorises and decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createAlterClientQuotasHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.AlterClientQuotas> {
  return createForwardHandler(parts, ApiKey.AlterClientQuotas);
}
