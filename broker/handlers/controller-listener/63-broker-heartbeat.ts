// BrokerHeartbeat v0–2 (KIP-631; v1 with failed directories, v2 with cordoned ones). broker/metadata/broker-watch.ts keeps the sessions.
import { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { createForwardHandler } from "../forward.ts";

export function createBrokerHeartbeatHandler(
  parts: Pick<ControllerParts, "controllerChannel">,
): Handler<typeof ApiKey.BrokerHeartbeat> {
  return createForwardHandler(parts, ApiKey.BrokerHeartbeat);
}
