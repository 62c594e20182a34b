// The coordinators of this broker. Each kind of shard is hosted once; handlers ask through here. Whoever brings another kind adds it here.
import type { BrokerParts } from "../parts.ts";
import { GroupCoordinator } from "./group-coordinator.ts";
import { TransactionCoordinator } from "./transaction-coordinator.ts";

export interface Coordinators {
  readonly groups: GroupCoordinator;
  readonly transactions: TransactionCoordinator;
}

export type CoordinatorParts = BrokerParts;

export function createCoordinators(parts: CoordinatorParts): Coordinators {
  const groups = new GroupCoordinator(parts);
  return { groups, transactions: new TransactionCoordinator(parts, groups.host) };
}
