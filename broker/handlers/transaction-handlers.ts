// Registers the handlers of transactions: each goes to the shard that owns its transactional id.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Coordinators } from "../shards/coordinators.ts";
import { createTransactionalInit } from "./22-init-producer-id.ts";
import { createAddPartitionsToTxnHandler } from "./24-add-partitions-to-txn.ts";
import { createAddOffsetsToTxnHandler } from "./25-add-offsets-to-txn.ts";
import { createEndTxnHandler } from "./26-end-txn.ts";
import { createWriteTxnMarkersHandler } from "./27-write-txn-markers.ts";
import { createTxnOffsetCommitHandler } from "./28-txn-offset-commit.ts";
import { createDescribeTransactionsHandler } from "./65-describe-transactions.ts";
import { createListTransactionsHandler } from "./66-list-transactions.ts";
import type { HandlerTable } from "./handler-table.ts";

export function registerTransactionHandlers(table: HandlerTable, parts: BrokerParts, coordinators: Coordinators): void {
  const own = { ...parts, coordinators };
  parts.cluster.transactionalInit = createTransactionalInit(own);
  table.add(ApiKey.AddPartitionsToTxn, createAddPartitionsToTxnHandler(own));
  table.add(ApiKey.AddOffsetsToTxn, createAddOffsetsToTxnHandler(own));
  table.add(ApiKey.EndTxn, createEndTxnHandler(own));
  table.add(ApiKey.WriteTxnMarkers, createWriteTxnMarkersHandler(own));
  table.add(ApiKey.TxnOffsetCommit, createTxnOffsetCommitHandler(own));
  table.add(ApiKey.DescribeTransactions, createDescribeTransactionsHandler(own));
  table.add(ApiKey.ListTransactions, createListTransactionsHandler(own));
}
