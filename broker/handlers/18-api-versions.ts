// ApiVersions, versions 0-4. Offers what this listener has handlers for; names the cluster's features. A version too new never comes here:
// the router answers it in version 0.
import { type ApiKey, apiVersionsResponse, ErrorCode, type ListenerKind } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import type { HandlerTable } from "./handler-table.ts";

const clientSoftwareVersion = 3;
/** KIP-511: letters, digits, `-` and `.`, not at either end. */
const softwarePattern = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;

export function createApiVersionsHandler(
  parts: Pick<BrokerParts, "metadata" | "cluster" | "config">,
  table: HandlerTable,
  listener: ListenerKind = "broker",
): Handler<typeof ApiKey.ApiVersions> {
  let served: Set<number> | null = null;
  return (request, context) => {
    if (context.apiVersion >= clientSoftwareVersion) {
      const { clientSoftwareName, clientSoftwareVersion } = request;
      if (!softwarePattern.test(clientSoftwareName) || !softwarePattern.test(clientSoftwareVersion))
        return { errorCode: ErrorCode.INVALID_REQUEST, apiKeys: [] };
      context.connection.clientSoftwareName = clientSoftwareName;
      context.connection.clientSoftwareVersion = clientSoftwareVersion;
    }
    served ??= new Set(table.served().map((api) => api.key));
    const offered = served;
    const { features, highestOffset } = parts.metadata.image;
    // The quorum's own feature stands in its log, not among the records of the cluster.
    const { kraftVersion } = parts.cluster;
    const quorumFeature = kraftVersion > 0 ? [{ name: "kraft.version", level: kraftVersion }] : [];
    const answer = apiVersionsResponse(context.apiVersion, {
      listener,
      includeUnstable: parts.config.isUnstableApiVersionsEnabled,
      supportedFeatures: parts.config.supportedFeatures,
      finalizedFeatures: [...[...features.finalized].map(([name, level]) => ({ name, level })), ...quorumFeature],
      finalizedFeaturesEpoch: highestOffset,
    });
    return { ...answer, apiKeys: answer.apiKeys.filter((one) => offered.has(one.apiKey)) };
  };
}
