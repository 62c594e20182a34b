// AlterConfigs v0–2: replaces all settings of each resource. Old clients only; new ones use IncrementalAlterConfigs. The active controller
// authorises and decides, save for broker loggers, which this API never could alter.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createAlterConfigsHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.AlterConfigs> {
  return createForwardHandler(parts, ApiKey.AlterConfigs);
}
