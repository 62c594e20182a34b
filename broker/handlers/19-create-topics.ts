// CreateTopics v2–7. The active controller authorises and decides (core/controller/decide/create-topics.ts).
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createCreateTopicsHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.CreateTopics> {
  return createForwardHandler(parts, ApiKey.CreateTopics);
}
