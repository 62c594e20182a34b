// Where the replicas of new partitions go: brokers in turn, each replica of a partition on another rack while racks last, fenced brokers
// only where there are not enough others, and never first. Also the check of assignments that come from people.
import type { Random } from "../../base/index.ts";
import { ErrorCode } from "../../protocol/index.ts";
import type { BrokerRegistration, ClusterImage } from "../image/index.ts";
import { type Refusal, refusal } from "./decision.ts";

/** A list of replicas for each partition. */
export type Placement = readonly (readonly number[])[];

export function placeReplicas(
  cluster: ClusterImage,
  partitionCount: number,
  replicationFactor: number,
  random: Random,
): Placement | Refusal {
  const usable = [...cluster.brokers.values()].filter(hasUsableDirectory).sort((one, other) => one.id - other.id);
  const unfenced = usable.filter((broker) => !broker.fenced);
  if (unfenced.length === 0) {
    return notReplicable(replicationFactor, "all brokers are fenced, or all of their log directories are cordoned");
  }
  if (replicationFactor > usable.length) {
    return notReplicable(
      replicationFactor,
      `only ${usable.length} broker(s) are registered with a log directory that is not cordoned`,
    );
  }
  const live = inRackTurns(unfenced);
  const fenced = inRackTurns(usable.filter((broker) => broker.fenced));
  const start = random.uint32() % live.length;
  const shift = random.uint32() % live.length;
  const placement: number[][] = [];
  for (let index = 0; index < partitionCount; index++) {
    placement.push(placeOne(live, fenced, replicationFactor, start + index, shift + Math.floor(index / live.length)));
  }
  return placement;
}

function notReplicable(replicationFactor: number, why: string): Refusal {
  const message = `Unable to replicate the partition ${replicationFactor} time(s): ${why}.`;
  return refusal(ErrorCode.INVALID_REPLICATION_FACTOR, message);
}

/** A broker whose every directory is cordoned takes no new replicas (KIP-1066). */
function hasUsableDirectory(broker: BrokerRegistration): boolean {
  const cordoned = broker.cordonedDirectories ?? [];
  return broker.directories.length === 0 || broker.directories.some((directory) => !cordoned.includes(directory));
}

/** One broker of each rack in turn, then the next of each: neighbours are on different racks. */
function inRackTurns(brokers: readonly BrokerRegistration[]): BrokerRegistration[] {
  const racks = new Map<string | null, BrokerRegistration[]>();
  for (const broker of brokers) {
    const rack = racks.get(broker.rack);
    if (rack === undefined) racks.set(broker.rack, [broker]);
    else rack.push(broker);
  }
  const turns: BrokerRegistration[] = [];
  for (let round = 0; turns.length < brokers.length; round++) {
    for (const rack of racks.values()) {
      const broker = rack[round];
      if (broker !== undefined) turns.push(broker);
    }
  }
  return turns;
}

/** The leader by turns; the others after it, shifted once a round so that pairs mix. New racks first. */
function placeOne(
  live: readonly BrokerRegistration[],
  fenced: readonly BrokerRegistration[],
  replicationFactor: number,
  turn: number,
  shift: number,
): number[] {
  const leader = live[turn % live.length]!;
  const others: BrokerRegistration[] = [];
  for (let step = 1; step < live.length; step++) {
    const distance = 1 + ((step - 1 + shift) % (live.length - 1));
    others.push(live[(turn + distance) % live.length]!);
  }
  const racks = new Set([leader.rack]);
  const replicas = [leader.id];
  for (const candidates of [others, fenced]) {
    for (const ofNewRack of [true, false]) {
      for (const broker of candidates) {
        if (replicas.length === replicationFactor) return replicas;
        if (replicas.includes(broker.id) || (ofNewRack && racks.has(broker.rack))) continue;
        racks.add(broker.rack);
        replicas.push(broker.id);
      }
    }
  }
  return replicas;
}

/** Null where `replicas` may be a partition's. `expectedCount`: what the partitions before have; null for the first. */
export function assignmentProblem(
  cluster: ClusterImage,
  replicas: readonly number[],
  expectedCount: number | null,
): Refusal | null {
  const wrong = (message: string): Refusal => refusal(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message);
  if (replicas.length === 0) return wrong("The manual partition assignment has an empty replica list.");
  const seen = new Set<number>();
  for (const broker of [...replicas].sort((one, other) => one - other)) {
    if (!cluster.brokers.has(broker)) {
      return wrong(`The manual partition assignment includes broker ${broker}, but no such broker is registered.`);
    }
    if (seen.has(broker)) return wrong(`The manual partition assignment includes broker ${broker} more than once.`);
    seen.add(broker);
  }
  if (expectedCount !== null && replicas.length !== expectedCount) {
    return wrong(
      `The manual partition assignment has a partition with ${replicas.length} replica(s); the others have ${expectedCount}.`,
    );
  }
  return null;
}
