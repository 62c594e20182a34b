// UnregisterBroker v0. The active controller authorises and decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createUnregisterBrokerHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.UnregisterBroker> {
  return createForwardHandler(parts, ApiKey.UnregisterBroker);
}
