// Requests that a broker hands to the active controller as they are, in the name of who asked.
import type { ApiKey, RequestOf, ResponseInitOf } from "@blumfeld/core/protocol";
import type { ControllerOrigin } from "../metadata/controller-requests.ts";
import type { BrokerParts } from "../parts.ts";
import type { Handler, RequestContext } from "../request-context.ts";

/** For requests that carry no time limit of their own. */
export const forwardMsMax = 60_000;

export function originOf(context: RequestContext, timeoutMs: number = forwardMsMax): ControllerOrigin {
  const { apiKey, apiVersion, principal, clientAddress, listenerName, clientId } = context;
  return { apiKey, apiVersion, principal, clientAddress, listenerName, clientId, timeoutMs };
}

export function createForwardHandler<Key extends ApiKey>(
  parts: Pick<BrokerParts, "controllerChannel">,
  key: Key,
): Handler<Key> {
  return (request, context): Promise<ResponseInitOf<Key>> => {
    const { timeoutMs } = request as { timeoutMs?: number };
    return parts.controllerChannel.request(
      key,
      request as RequestOf<Key>,
      originOf(context as RequestContext, timeoutMs),
    );
  };
}
