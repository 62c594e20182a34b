// The coordinators of this broker. Each kind of shard is hosted once; handlers ask through here. Whoever brings another kind adds it here.
import type { BrokerParts } from "../parts.ts";
import { GroupCoordinator } from "./group-coordinator.ts";
import { ShareCoordinator } from "./share-coordinator.ts";
import { TransactionCoordinator } from "./transaction-coordinator.ts";

export interface Coordinators {
  readonly groups: GroupCoordinator;
  readonly transactions: TransactionCoordinator;
  readonly shares: ShareCoordinator;
}

export function createCoordinators(parts: BrokerParts): Coordinators {
  const groups = new GroupCoordinator(parts);
  const transactions = new TransactionCoordinator(parts, groups.host);
  return { groups, transactions, shares: new ShareCoordinator(parts) };
}
