// BrokerRegistration v0–4 (KIP-631; v2 with directories, v3 with the epoch before, KIP-966). core/controller/decide/brokers.ts decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { createForwardHandler } from "../forward.ts";

export function createBrokerRegistrationHandler(
  parts: Pick<ControllerParts, "controllerChannel">,
): Handler<typeof ApiKey.BrokerRegistration> {
  return createForwardHandler(parts, ApiKey.BrokerRegistration);
}
