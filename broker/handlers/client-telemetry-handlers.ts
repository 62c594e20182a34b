// Registers the handlers of clients' metrics, and tells their subscriptions of the metadata.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { ClientTelemetry } from "../telemetry/index.ts";
import { createGetTelemetrySubscriptionsHandler } from "./71-get-telemetry-subscriptions.ts";
import { createPushTelemetryHandler } from "./72-push-telemetry.ts";
import type { HandlerTable } from "./handler-table.ts";

/** `16:` begins the key of a CLIENT_METRICS resource. */
const clientMetricsKeyPrefix = "16:";

export function registerClientTelemetryHandlers(
  table: HandlerTable,
  parts: Pick<BrokerParts, "clock" | "random" | "metadata" | "cluster">,
): void {
  const telemetryBytesMax = parts.cluster.settings.get("telemetry.max.bytes");
  const telemetry = new ClientTelemetry({ ...parts, telemetryBytesMax });
  telemetry.onSubscriptions(parts.metadata.image);
  parts.metadata.onImage((delta, image) => {
    const isChanged = [...delta.changedConfigs].some((key) => key.startsWith(clientMetricsKeyPrefix));
    if (delta.isWhole || isChanged) telemetry.onSubscriptions(image);
  });
  table.add(ApiKey.GetTelemetrySubscriptions, createGetTelemetrySubscriptionsHandler(telemetry));
  table.add(ApiKey.PushTelemetry, createPushTelemetryHandler(telemetry));
}
