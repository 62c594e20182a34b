// AlterUserScramCredentials v0 (KIP-554). The active controller authorises and decides.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { createForwardHandler } from "./forward.ts";

export function createAlterUserScramCredentialsHandler(
  parts: Pick<BrokerParts, "controllerChannel">,
): Handler<typeof ApiKey.AlterUserScramCredentials> {
  return createForwardHandler(parts, ApiKey.AlterUserScramCredentials);
}
