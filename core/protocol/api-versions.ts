// The answer to ApiVersions: what a listener serves, and the features of the cluster.
import type { ListenerKind } from "./apis.ts";
import { apis } from "./apis.ts";
import { ErrorCode } from "./errors.ts";
import type { ApiVersionsResponseApiVersionInit, ApiVersionsResponseInit } from "./generated/18-api-versions.ts";
import { ApiKey } from "./generated/apis.ts";

export interface FeatureRange {
  readonly name: string;
  readonly minVersion: number;
  readonly maxVersion: number;
}

export interface FeatureLevel {
  readonly name: string;
  readonly level: number;
}

export interface ApiVersionsInput {
  readonly listener: ListenerKind;
  /** Versions that may still change are offered. */
  readonly includeUnstable?: boolean;
  readonly supportedFeatures: readonly FeatureRange[];
  readonly finalizedFeatures: readonly FeatureLevel[];
  /** The offset of the metadata that the finalized features come from; -1 when there is none yet. */
  readonly finalizedFeaturesEpoch: bigint | number;
  readonly throttleTimeMs?: number;
  /** The APIs of client telemetry are offered only where something receives it. */
  readonly includeTelemetry?: boolean;
}

const telemetryKeys: ReadonlySet<number> = new Set([ApiKey.GetTelemetrySubscriptions, ApiKey.PushTelemetry]);

/** Below this version, older clients choke on a feature whose lowest level is 0 (KIP-1022). */
const featureLevelZeroFrom = 4;

/** Produce is offered from version 0 although 3 is the oldest served: librdkafka takes the codecs it may use from it (KAFKA-18659). */
const produceMinVersionOffered = 0;

/** The versions that a listener offers, by key in order. */
export function apiVersionsOffered(
  input: Pick<ApiVersionsInput, "listener" | "includeUnstable" | "includeTelemetry">,
): ApiVersionsResponseApiVersionInit[] {
  const offered: ApiVersionsResponseApiVersionInit[] = [];
  for (const api of apis.values()) {
    if (!api.listeners.includes(input.listener)) continue;
    if (telemetryKeys.has(api.key) && !input.includeTelemetry) continue;
    const maxVersion = input.includeUnstable ? api.maxVersion : api.latestStableVersion;
    const minVersion = api.key === ApiKey.Produce ? produceMinVersionOffered : api.minVersion;
    offered.push({ apiKey: api.key, minVersion, maxVersion });
  }
  return offered;
}

/** The answer to a request of a version that is served. */
export function apiVersionsResponse(version: number, input: ApiVersionsInput): ApiVersionsResponseInit {
  const supported = input.supportedFeatures.filter((one) => version >= featureLevelZeroFrom || one.minVersion > 0);
  return {
    errorCode: ErrorCode.NONE,
    apiKeys: apiVersionsOffered(input),
    throttleTimeMs: input.throttleTimeMs ?? 0,
    supportedFeatures: supported,
    finalizedFeaturesEpoch: input.finalizedFeaturesEpoch,
    finalizedFeatures: input.finalizedFeatures.map(({ name, level }) => ({
      name,
      maxVersionLevel: level,
      minVersionLevel: level,
    })),
  };
}

/** The version in which a version that is not served is answered: every client can read it. */
export const apiVersionsRefusalVersion = 0;

/** The answer to a version that is not served: the versions of ApiVersions itself, so that the client asks again. */
export function apiVersionsRefusal(): ApiVersionsResponseInit {
  const { minVersion, maxVersion } = apis.get(ApiKey.ApiVersions)!;
  return {
    errorCode: ErrorCode.UNSUPPORTED_VERSION,
    apiKeys: [{ apiKey: ApiKey.ApiVersions, minVersion, maxVersion }],
  };
}
