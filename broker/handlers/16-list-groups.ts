// ListGroups v0–5: the groups whose coordinator this broker is. v4: filter by state. v5: filter by type (KIP-848).
import type { ListedGroup } from "@blumfeld/core/coordinator";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";
import { type GroupHandlerParts, mayOnGroup } from "./group-rules.ts";

export function createListGroupsHandler(parts: GroupHandlerParts): Handler<typeof ApiKey.ListGroups> {
  return (request, context) => {
    const { statesFilter, typesFilter } = request;
    let errorCode: number = ErrorCode.NONE;
    const found: ListedGroup[] = [];
    for (const shard of parts.coordinators.groups.host.shards()) {
      shard.read(
        "ListGroups",
        (groups) => groups.administration.list(statesFilter, typesFilter),
        (outcome) => {
          if ("answer" in outcome) found.push(...outcome.answer);
          else if (outcome.errorCode !== ErrorCode.NOT_COORDINATOR) errorCode = outcome.errorCode;
        },
      );
    }
    if (errorCode !== ErrorCode.NONE) return { throttleTimeMs: 0, errorCode, groups: [] };
    const { authorizer } = parts;
    const maySeeAll = authorizer.authorize(context, AclOperation.Describe, ResourceType.Cluster, clusterResourceName);
    const groups = maySeeAll
      ? found
      : found.filter(({ groupId }) => mayOnGroup(parts, context, AclOperation.Describe, groupId));
    return { throttleTimeMs: 0, errorCode, groups };
  };
}
