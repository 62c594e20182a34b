// PushTelemetry v0 (KIP-714): a client's metrics. 117 for another subscription than the client's current one, 118 for too much, packed or
// unpacked, 87 for what cannot be unpacked, 42 after a push that said it was the last.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import type { ClientTelemetry } from "../telemetry/index.ts";
import { clientAttributes } from "./71-get-telemetry-subscriptions.ts";

export function createPushTelemetryHandler(telemetry: ClientTelemetry): Handler<typeof ApiKey.PushTelemetry> {
  return (request, context) => ({
    throttleTimeMs: 0,
    errorCode: telemetry.push(request, clientAttributes(context)),
  });
}
