// Every handler of the broker, registered by API number: this list is the coverage report.
import type { BrokerParts } from "../parts.ts";
import { registerClientTelemetryHandlers } from "./client-telemetry-handlers.ts";
import { registerControllerHandlers } from "./controller-handlers.ts";
import { registerCoordinatorHandlers } from "./coordinator-handlers.ts";
import { HandlerTable } from "./handler-table.ts";
import { registerSecurityHandlers } from "./security-handlers.ts";

export { HandlerTable } from "./handler-table.ts";

export function createHandlers(parts: BrokerParts): HandlerTable {
  const table = new HandlerTable();
  registerControllerHandlers(table, parts);
  registerCoordinatorHandlers(table, parts);
  registerSecurityHandlers(table, parts);
  registerClientTelemetryHandlers(table, parts);
  return table;
}
