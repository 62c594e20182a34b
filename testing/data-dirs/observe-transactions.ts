// Transactions as a client sees them, in the form of the golden data's expectations.
import { ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { WireConnection } from "../wire/index.ts";
import type { ExpectedTransaction } from "./expected.ts";

/** All that ListTransactions names, described. */
export async function observeTransactions(connection: WireConnection): Promise<Record<string, ExpectedTransaction>> {
  const listed = await connection.ask(ApiKey.ListTransactions, 0, { stateFilters: [], producerIdFilters: [] });
  if (listed.errorCode !== ErrorCode.NONE) throw new Error(`listing transactions: ${errorOf(listed.errorCode).name}`);
  const transactionalIds = listed.transactionStates.map((each) => each.transactionalId).sort();
  const described = await connection.ask(ApiKey.DescribeTransactions, 0, { transactionalIds });
  const all = described.transactionStates.map((each) => [
    each.transactionalId,
    {
      state: each.transactionState,
      producerId: String(each.producerId),
      producerEpoch: each.producerEpoch,
      timeoutMs: each.transactionTimeoutMs,
      startTime: String(each.transactionStartTimeMs),
      partitions: each.topics
        .flatMap(({ topic, partitions }) => partitions.map((partition) => `${topic}-${partition}`))
        .sort(),
    },
  ]);
  return Object.fromEntries(all);
}
