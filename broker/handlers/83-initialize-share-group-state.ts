// InitializeShareGroupState v0: a share partition's state begins, or begins anew at another offset.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { eachSharePartition, type ShareStateParts } from "./share-state-handlers.ts";

export function createInitializeShareGroupStateHandler(
  parts: ShareStateParts,
): Handler<typeof ApiKey.InitializeShareGroupState> {
  const { shares } = parts.coordinators;
  return async (request, context) => ({
    results: await eachSharePartition(
      parts,
      context,
      request,
      (key, { startOffset, stateEpoch }) => shares.initialize(key, { stateEpoch, startOffset: Number(startOffset) }),
      ({ errorCode, errorMessage }, { partition }) => ({ partition, errorCode, errorMessage }),
    ),
  });
}
