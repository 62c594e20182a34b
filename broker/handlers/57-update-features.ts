// UpdateFeatures v0–2 (KIP-584). The active controller authorises and decides; from v2 on there are no results by feature.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createUpdateFeaturesHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.UpdateFeatures> {
  return createForwardHandler(parts, ApiKey.UpdateFeatures);
}
