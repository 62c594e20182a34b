// WriteShareGroupState v0–1: what became of records. v1: how many from the start offset on are finished.
import { batchOf } from "@blumfeld/core/coordinator";
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { eachSharePartition, type ShareStateParts } from "./share-state-handlers.ts";

export function createWriteShareGroupStateHandler(parts: ShareStateParts): Handler<typeof ApiKey.WriteShareGroupState> {
  const { shares } = parts.coordinators;
  return async (request, context) => ({
    results: await eachSharePartition(
      parts,
      context,
      request,
      (key, { deliveryCompleteCount, leaderEpoch, startOffset, stateBatches, stateEpoch }) =>
        shares.write(key, {
          ...{ stateEpoch, leaderEpoch, deliveryCompleteCount, startOffset: Number(startOffset) },
          stateBatches: stateBatches.map(batchOf),
        }),
      ({ errorCode, errorMessage }, { partition }) => ({ partition, errorCode, errorMessage }),
    ),
  });
}
