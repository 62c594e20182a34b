// DeleteAcls v1–3. Decided by the active controller; without an authorizer each filter gets 54 SECURITY_DISABLED, as Kafka answers.
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { aclRequestMsMax } from "./30-create-acls.ts";

export function createDeleteAclsHandler(
  parts: Pick<BrokerParts, "authorizer" | "controllerChannel">,
): Handler<typeof ApiKey.DeleteAcls> {
  return (request, context) => {
    if (parts.authorizer.isConfigured) {
      const { principal, clientAddress, listenerName, clientId } = context;
      const origin = { principal, clientAddress, listenerName, clientId, timeoutMs: aclRequestMsMax };
      return parts.controllerChannel.request(ApiKey.DeleteAcls, request, origin);
    }
    const refused = {
      errorCode: ErrorCode.SECURITY_DISABLED,
      errorMessage: "No Authorizer is configured.",
      matchingAcls: [],
    };
    return { throttleTimeMs: 0, filterResults: request.filters.map(() => refused) };
  };
}
