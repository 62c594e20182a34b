// GetTelemetrySubscriptions v0 (KIP-714): which metrics a client shall push, and how often. Open to everybody, as in Kafka.
// Throttled (89) when asked again within the push interval, unless the subscriptions have changed since.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler, RequestContext } from "../request-context.ts";
import type { ClientAttributes, ClientTelemetry } from "../telemetry/index.ts";

export function createGetTelemetrySubscriptionsHandler(
  telemetry: ClientTelemetry,
): Handler<typeof ApiKey.GetTelemetrySubscriptions> {
  return (request, context) => ({
    throttleTimeMs: 0,
    ...telemetry.subscribe(request.clientInstanceId, clientAttributes(context)),
  });
}

export function clientAttributes(context: RequestContext): ClientAttributes {
  return {
    clientId: context.clientId,
    clientSoftwareName: context.connection.clientSoftwareName,
    clientSoftwareVersion: context.connection.clientSoftwareVersion,
    clientSourceAddress: context.clientAddress,
    clientSourcePort: context.connection.clientPort,
  };
}
