// ElectLeaders v0–2; v0 knows preferred leaders only. The active controller authorises and decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createElectLeadersHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.ElectLeaders> {
  return createForwardHandler(parts, ApiKey.ElectLeaders);
}
