// DescribeUserScramCredentials v0 (KIP-554): mechanisms and iterations, never salts or keys. No users stands for all of them.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { type Handler, RequestError } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

export function createDescribeUserScramCredentialsHandler(
  parts: Pick<BrokerParts, "authorizer" | "metadata">,
): Handler<typeof ApiKey.DescribeUserScramCredentials> {
  return (request, context) => {
    if (!parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Cluster, clusterResourceName)) {
      throw new RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "the request needs Describe on the cluster");
    }
    const { credentials } = parts.metadata.image.scram;
    const asked = request.users ?? [];
    const everyone = new Set([...credentials.values()].flatMap((users) => [...users.keys()]));
    const names = asked.length === 0 ? [...everyone] : asked.map(({ name }) => name);
    const counts = new Map<string, number>();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    const results = [...counts].map(([user, count]) => {
      if (count > 1) {
        const errorMessage = `Cannot describe the credentials of one user twice in a request: ${user}`;
        return { user, errorCode: ErrorCode.DUPLICATE_RESOURCE, errorMessage, credentialInfos: [] };
      }
      const credentialInfos = [...credentials].flatMap(([mechanism, users]) => {
        const credential = users.get(user);
        return credential === undefined ? [] : [{ mechanism, iterations: credential.iterations }];
      });
      if (credentialInfos.length > 0) return { user, errorCode: ErrorCode.NONE, errorMessage: "", credentialInfos };
      const errorMessage = `Attempt to describe a user credential that does not exist: ${user}`;
      return { user, errorCode: ErrorCode.RESOURCE_NOT_FOUND, errorMessage, credentialInfos };
    });
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: "", results };
  };
}
