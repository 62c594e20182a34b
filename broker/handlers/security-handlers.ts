// Registers the handlers of SASL out of season, ACLs and delegation tokens, and of replicas' directories.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import { createSaslHandshakeHandler } from "./17-sasl-handshake.ts";
import { createDescribeAclsHandler } from "./29-describe-acls.ts";
import { createCreateAclsHandler } from "./30-create-acls.ts";
import { createDeleteAclsHandler } from "./31-delete-acls.ts";
import { createAlterReplicaLogDirsHandler } from "./34-alter-replica-log-dirs.ts";
import { createSaslAuthenticateHandler } from "./36-sasl-authenticate.ts";
import { onCreateDelegationToken } from "./38-create-delegation-token.ts";
import { onRenewDelegationToken } from "./39-renew-delegation-token.ts";
import { onExpireDelegationToken } from "./40-expire-delegation-token.ts";
import { onDescribeDelegationToken } from "./41-describe-delegation-token.ts";
import type { HandlerTable } from "./handler-table.ts";

export function registerSecurityHandlers(
  table: HandlerTable,
  parts: Pick<BrokerParts, "authorizer" | "metadata" | "controllerChannel" | "logManager" | "partitions" | "timers">,
): void {
  table.add(ApiKey.SaslHandshake, createSaslHandshakeHandler());
  table.add(ApiKey.DescribeAcls, createDescribeAclsHandler(parts));
  table.add(ApiKey.CreateAcls, createCreateAclsHandler(parts));
  table.add(ApiKey.DeleteAcls, createDeleteAclsHandler(parts));
  table.add(ApiKey.AlterReplicaLogDirs, createAlterReplicaLogDirsHandler(parts));
  table.add(ApiKey.SaslAuthenticate, createSaslAuthenticateHandler(parts));
  table.add(ApiKey.CreateDelegationToken, onCreateDelegationToken);
  table.add(ApiKey.RenewDelegationToken, onRenewDelegationToken);
  table.add(ApiKey.ExpireDelegationToken, onExpireDelegationToken);
  table.add(ApiKey.DescribeDelegationToken, onDescribeDelegationToken);
}
