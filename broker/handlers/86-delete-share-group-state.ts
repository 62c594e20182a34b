// DeleteShareGroupState v0.
import type { ApiKey } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { eachSharePartition, type ShareStateParts } from "./share-state-handlers.ts";

export function createDeleteShareGroupStateHandler(
  parts: ShareStateParts,
): Handler<typeof ApiKey.DeleteShareGroupState> {
  const { shares } = parts.coordinators;
  return async (request, context) => ({
    results: await eachSharePartition(
      parts,
      context,
      request,
      (key) => shares.delete(key),
      ({ errorCode, errorMessage }, { partition }) => ({ partition, errorCode, errorMessage }),
    ),
  });
}
