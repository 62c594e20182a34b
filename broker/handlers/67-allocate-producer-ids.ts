// AllocateProducerIds v0 (KIP-730): between brokers and the controller only.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createAllocateProducerIdsHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.AllocateProducerIds> {
  return createForwardHandler(parts, ApiKey.AllocateProducerIds);
}
