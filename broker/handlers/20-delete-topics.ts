// DeleteTopics v1–6, by name and from v6 by id. The active controller authorises and decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createDeleteTopicsHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.DeleteTopics> {
  return createForwardHandler(parts, ApiKey.DeleteTopics);
}
