// CreateAcls v1–3. Decided by the active controller; without an authorizer each entry gets 54 SECURITY_DISABLED, as Kafka answers.
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";

/** The controller's time to decide: this request carries none of its own. */
export const aclRequestMsMax = 30_000;

export function createCreateAclsHandler(
  parts: Pick<BrokerParts, "authorizer" | "controllerChannel">,
): Handler<typeof ApiKey.CreateAcls> {
  return (request, context) => {
    if (parts.authorizer.isConfigured) {
      const { principal, clientAddress, listenerName, clientId } = context;
      const origin = { principal, clientAddress, listenerName, clientId, timeoutMs: aclRequestMsMax };
      return parts.controllerChannel.request(ApiKey.CreateAcls, request, origin);
    }
    const refused = { errorCode: ErrorCode.SECURITY_DISABLED, errorMessage: "No Authorizer is configured." };
    return { throttleTimeMs: 0, results: request.creations.map(() => refused) };
  };
}
