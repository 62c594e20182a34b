// ReadShareGroupStateSummary v0–1: from where on a share partition has anything to deliver. v1: how many of those are finished.
import type { ShareState } from "@blumfeld/core/coordinator";
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { eachSharePartition, type ShareStateParts } from "./share-state-handlers.ts";

const startOffsetUnset = -1n;

export function createReadShareGroupStateSummaryHandler(
  parts: ShareStateParts,
): Handler<typeof ApiKey.ReadShareGroupStateSummary> {
  const { shares } = parts.coordinators;
  return async (request, context) => ({
    results: await eachSharePartition(
      parts,
      context,
      request,
      (key) => shares.summary(key),
      (outcome, { partition }) => {
        const { errorCode, errorMessage } = outcome;
        const state = (outcome as { readonly state?: ShareState | null }).state ?? null;
        return {
          ...{ partition, errorCode, errorMessage },
          stateEpoch: state?.stateEpoch ?? 0,
          leaderEpoch: state?.leaderEpoch ?? 0,
          startOffset: state === null ? startOffsetUnset : BigInt(state.startOffset),
          deliveryCompleteCount: state?.deliveryCompleteCount ?? -1,
        };
      },
    ),
  });
}
