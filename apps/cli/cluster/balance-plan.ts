// Which replicas would have to move for brokers to hold equally many, and as few of them as can be. Racks are kept apart as long as there are enough.

export interface PlacedPartition {
  readonly topic: string;
  readonly partition: number;
  /** The preferred leader first. */
  readonly replicas: readonly number[];
}

export interface PlannedMove extends PlacedPartition {
  readonly from: readonly number[];
}

export interface BrokerPlace {
  readonly nodeId: number;
  readonly rack: string | null;
}

/**
 * Moves one replica at a time from a broker with most to one with least, until they differ by one at most; then makes the first of each list the broker
 * that would lead least. Deterministic: the same cluster has the same plan.
 */
export function planBalance(partitions: readonly PlacedPartition[], brokers: readonly BrokerPlace[]): PlannedMove[] {
  const placed = partitions.map((one) => ({ ...one, replicas: [...one.replicas], from: one.replicas }));
  const rackOf = new Map(brokers.map(({ nodeId, rack }) => [nodeId, rack]));
  const held = new Map(brokers.map(({ nodeId }) => [nodeId, 0]));
  for (const { replicas } of placed) for (const id of replicas) if (held.has(id)) held.set(id, held.get(id)! + 1);
  while (moveOne(placed, held, rackOf)) {
    // Each move brings two brokers nearer to each other: it ends.
  }
  spreadLeaders(placed, brokers);
  return placed.filter(({ from, replicas }) => replicas.some((id, index) => id !== from[index]));
}

type Placed = { topic: string; partition: number; replicas: number[]; from: readonly number[] };

function moveOne(
  placed: readonly Placed[],
  held: Map<number, number>,
  rackOf: ReadonlyMap<number, string | null>,
): boolean {
  const order = [...held].sort(([one, a], [other, b]) => a - b || one - other);
  for (const [to, least] of order) {
    for (const [from, most] of [...order].reverse()) {
      if (most - least <= 1) break;
      const found = placed.find(({ replicas }) => replicas.includes(from) && mayTake(replicas, from, to, rackOf));
      if (found === undefined) continue;
      found.replicas[found.replicas.indexOf(from)] = to;
      held.set(from, most - 1);
      held.set(to, least + 1);
      return true;
    }
  }
  return false;
}

/** Not twice on a broker, and not into a rack that holds another replica, unless the one that goes was there too. */
function mayTake(
  replicas: readonly number[],
  from: number,
  to: number,
  rackOf: ReadonlyMap<number, string | null>,
): boolean {
  if (replicas.includes(to)) return false;
  const rack = rackOf.get(to) ?? null;
  if (rack === null || rack === rackOf.get(from)) return true;
  return !replicas.some((id) => id !== from && rackOf.get(id) === rack);
}

function spreadLeaders(placed: readonly Placed[], brokers: readonly BrokerPlace[]): void {
  const leads = new Map(brokers.map(({ nodeId }) => [nodeId, 0]));
  for (const { replicas } of placed) leads.set(replicas[0]!, (leads.get(replicas[0]!) ?? 0) + 1);
  for (const { replicas } of placed) {
    const [leader] = replicas;
    const least = replicas.reduce((best, id) => ((leads.get(id) ?? 0) < (leads.get(best) ?? 0) ? id : best), leader!);
    if ((leads.get(leader!) ?? 0) - (leads.get(least) ?? 0) <= 1) continue;
    replicas[replicas.indexOf(least)] = leader!;
    replicas[0] = least;
    leads.set(leader!, leads.get(leader!)! - 1);
    leads.set(least, leads.get(least)! + 1);
  }
}
