// Registers the handlers of cluster metadata: what the image answers, and what goes on to the active controller.
import type { BrokerParts } from "../parts.ts";
import type { HandlerTable } from "./handler-table.ts";

export function registerControllerHandlers(_table: HandlerTable, _parts: BrokerParts): void {}
