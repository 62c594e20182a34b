// DescribeClientQuotas v0–1 (KIP-546). Entities that have every part asked for; with `strict` no other part. From this node's own image.
import type { QuotaEntity } from "@blumfeld/core/controller";
import { type ApiKey, ErrorCode, type RequestOf } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

type Component = RequestOf<typeof ApiKey.DescribeClientQuotas>["components"][number];

/** Kafka's numbers of how a part is asked for. */
const matchType = { exact: 0, default: 1, any: 2 } as const;
const entityTypes: ReadonlySet<string> = new Set(["user", "client-id", "ip"]);

export function createDescribeClientQuotasHandler(
  parts: Pick<BrokerParts, "authorizer" | "metadata">,
): Handler<typeof ApiKey.DescribeClientQuotas> {
  return (request, context) => {
    if (!parts.authorizer.authorize(context, AclOperation.DescribeConfigs, ResourceType.Cluster, clusterResourceName)) {
      throw new RequestError(
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        "the request needs DescribeConfigs on the cluster",
      );
    }
    checkComponents(request.components);
    const entries = [...parts.metadata.image.quotas.byEntity.values()]
      .filter(({ entity }) => isAskedFor(entity, request.components, request.strict))
      .map(({ entity, values }) => ({
        entity: [...entity].map(([entityType, entityName]) => ({ entityType, entityName })),
        values: [...values].map(([key, value]) => ({ key, value })),
      }));
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: "", entries };
  };
}

function checkComponents(components: readonly Component[]): void {
  const seen = new Set<string>();
  for (const { entityType, matchType: match } of components) {
    const wrong = !entityTypes.has(entityType)
      ? `the entity type ${entityType} is not known`
      : seen.has(entityType)
        ? `the entity type ${entityType} is asked for twice`
        : match < matchType.exact || match > matchType.any
          ? `the match type ${match} is not known`
          : null;
    if (wrong !== null) {
      const code = entityTypes.has(entityType) ? ErrorCode.INVALID_REQUEST : ErrorCode.UNSUPPORTED_VERSION;
      throw new RequestError(code, wrong);
    }
    seen.add(entityType);
  }
  if (seen.has("ip") && seen.size > 1) {
    throw new RequestError(ErrorCode.INVALID_REQUEST, "an ip cannot be asked for together with a user or a client id");
  }
}

function isAskedFor(entity: QuotaEntity, components: readonly Component[], strict: boolean): boolean {
  if (strict && entity.size !== components.length) return false;
  return components.every(({ entityType, matchType: match, match: name }) => {
    const own = entity.get(entityType);
    if (own === undefined) return false;
    if (match === matchType.any) return true;
    return match === matchType.default ? own === null : own === name;
  });
}
