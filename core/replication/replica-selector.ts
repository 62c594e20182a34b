// Which replica a consumer should read from (KIP-392): one in its own rack, if there is one in sync that has what it wants.

export interface ReadReplica {
  readonly brokerId: number;
  readonly rack: string | null;
  readonly logEndOffset: number;
  /** How long ago it was last at the leader's end. */
  readonly lagMs: number;
}

/** As Kafka's RackAwareReplicaSelector. Null: the leader itself. */
export function rackAwareReplica(rack: string, leader: ReadReplica, followers: readonly ReadReplica[]): number | null {
  if (rack === "" || leader.rack === rack) return null;
  let best: ReadReplica | null = null;
  for (const follower of followers) {
    if (follower.rack !== rack) continue;
    if (best === null || isBetter(follower, best)) best = follower;
  }
  return best?.brokerId ?? null;
}

function isBetter(one: ReadReplica, other: ReadReplica): boolean {
  if (one.logEndOffset !== other.logEndOffset) return one.logEndOffset > other.logEndOffset;
  if (one.lagMs !== other.lagMs) return one.lagMs < other.lagMs;
  return one.brokerId > other.brokerId;
}
