// ReadShareGroupState v0: what is known of share partitions, for the broker that leads them from now on.
import type { ShareState } from "@blumfeld/core/coordinator";
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { eachSharePartition, type ShareStateParts } from "./share-state-handlers.ts";

export function createReadShareGroupStateHandler(parts: ShareStateParts): Handler<typeof ApiKey.ReadShareGroupState> {
  const { shares } = parts.coordinators;
  return async (request, context) => ({
    results: await eachSharePartition(
      parts,
      context,
      request,
      (key, { leaderEpoch }) => shares.read(key, leaderEpoch),
      (outcome, { partition }) => {
        const { errorCode, errorMessage } = outcome;
        const state = (outcome as { readonly state?: ShareState | null }).state ?? null;
        return {
          ...{ partition, errorCode, errorMessage },
          stateEpoch: state?.stateEpoch ?? 0,
          startOffset: BigInt(state?.startOffset ?? 0),
          stateBatches: (state?.batches ?? []).map(({ firstOffset, lastOffset, deliveryState, deliveryCount }) => ({
            ...{ firstOffset: BigInt(firstOffset), lastOffset: BigInt(lastOffset), deliveryState, deliveryCount },
          })),
        };
      },
    ),
  });
}
