// Every handler of the broker, registered by API number: this list is the coverage report.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { createCoordinators } from "../shards/coordinators.ts";
import { createProduceHandler } from "./00-produce.ts";
import { createFetchHandler } from "./01-fetch.ts";
import { createListOffsetsHandler } from "./02-list-offsets.ts";
import { createApiVersionsHandler } from "./18-api-versions.ts";
import { createDeleteRecordsHandler } from "./21-delete-records.ts";
import { createOffsetForLeaderEpochHandler } from "./23-offset-for-leader-epoch.ts";
import { createDescribeProducersHandler } from "./61-describe-producers.ts";
import { registerClientTelemetryHandlers } from "./client-telemetry-handlers.ts";
import { registerControllerHandlers } from "./controller-handlers.ts";
import { registerCoordinatorHandlers } from "./coordinator-handlers.ts";
import { HandlerTable } from "./handler-table.ts";
import { registerSecurityHandlers } from "./security-handlers.ts";
import { registerTransactionHandlers } from "./transaction-handlers.ts";

export { HandlerTable } from "./handler-table.ts";

export function createHandlers(parts: BrokerParts): HandlerTable {
  const table = new HandlerTable();
  const coordinators = createCoordinators(parts);
  const transactionVerifier = parts.transactionVerifier ?? coordinators.transactions.verifier;
  table.add(ApiKey.Produce, createProduceHandler({ ...parts, transactionVerifier }));
  table.add(ApiKey.Fetch, createFetchHandler(parts));
  table.add(ApiKey.ListOffsets, createListOffsetsHandler(parts));
  table.add(ApiKey.ApiVersions, createApiVersionsHandler(parts, table));
  table.add(ApiKey.DeleteRecords, createDeleteRecordsHandler(parts));
  table.add(ApiKey.OffsetForLeaderEpoch, createOffsetForLeaderEpochHandler(parts));
  table.add(ApiKey.DescribeProducers, createDescribeProducersHandler(parts));
  registerControllerHandlers(table, parts);
  registerCoordinatorHandlers(table, parts, coordinators);
  registerTransactionHandlers(table, parts, coordinators);
  registerSecurityHandlers(table, parts);
  registerClientTelemetryHandlers(table, parts);
  return table;
}
