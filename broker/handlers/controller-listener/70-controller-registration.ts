// ControllerRegistration v0 (KIP-919): a controller tells its addresses and what it supports.
import { ApiKey } from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import type { Handler } from "../../request-context.ts";
import { createForwardHandler } from "../forward.ts";

export function createControllerRegistrationHandler(
  parts: Pick<ControllerParts, "controllerChannel">,
): Handler<typeof ApiKey.ControllerRegistration> {
  return createForwardHandler(parts, ApiKey.ControllerRegistration);
}
