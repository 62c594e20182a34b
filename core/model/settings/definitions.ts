// The tables put together as parts ask for them.
import { brokerQuotaDefinitions, nodeDefinitions } from "./broker-definitions.ts";
import {
  adminOnlyDefinitions,
  clientDefinitions,
  consumerOnlyDefinitions,
  producerOnlyDefinitions,
} from "./client-definitions.ts";
import { bool, define, low, string } from "./definition.ts";
import { securityDefinitions } from "./security-definitions.ts";

export { brokerQuotaDefinitions } from "./broker-definitions.ts";
export { groupDefinitions, topicDefinitions } from "./topic-definitions.ts";

/** Kafka's broker table: what server.properties may hold. */
export const brokerDefinitions = define({ ...nodeDefinitions, ...securityDefinitions });
export type BrokerDefinitions = typeof brokerDefinitions;

/** Settings of the authorizer that Kafka brings. Its broker table does not know them, a server.properties holds them all the same. */
export const authorizerDefinitions = define({
  "allow.everyone.if.no.acl.found": bool(false, low),
  "super.users": string("", low),
});

/** What AlterConfigs may name for a broker. */
export const dynamicBrokerDefinitions = define({ ...brokerDefinitions, ...brokerQuotaDefinitions });

export const producerDefinitions = define({ ...clientDefinitions, ...producerOnlyDefinitions });
export const consumerDefinitions = define({ ...clientDefinitions, ...consumerOnlyDefinitions });
export const adminDefinitions = define({ ...clientDefinitions, ...adminOnlyDefinitions });
