// One member's way to its target: it gives up what it is no longer to have, then takes up the target's epoch, and gets what others have given up
// as that becomes free. Pure: a member in, the next member out.
//
//   state                  → state                  cause
//   Stable                 → UnrevokedPartitions    the target takes partitions away that the member still has
//   Stable                 → UnreleasedPartitions   the target gives partitions that another member still has
//   UnrevokedPartitions    → Stable, Unreleased…    the member no longer reports what it had to give up
//   UnreleasedPartitions   → Stable                 all have been released
import type { Uuid } from "../../../base/index.ts";
import {
  type Assigned,
  type ConsumerMember,
  inEpoch,
  memberStates,
  nothingAssigned,
  type PartitionEpochs,
  type Target,
} from "./consumer-member.ts";

/** What the member says it has; null where it did not say. */
export type Owned = ReadonlyMap<Uuid, ReadonlySet<number>> | null;

export interface Reconciliation {
  readonly member: ConsumerMember;
  readonly target: Target;
  readonly targetEpoch: number;
  /** -1: nobody has it. */
  readonly ownerEpoch: (topic: Uuid, partition: number) => number;
  readonly isSubscribedTo: (topic: Uuid) => boolean;
  /** Its subscription has just changed: what it is not subscribed to is taken away before a new target is there. */
  readonly hasSubscriptionChanged: boolean;
  readonly owned: Owned;
}

/** "fenced": the member is in a state that this version does not know, and must begin anew. */
export function reconciled(given: Reconciliation): ConsumerMember | "fenced" {
  const { member, owned, targetEpoch, hasSubscriptionChanged } = given;
  switch (member.state) {
    case memberStates.stable:
      if (member.memberEpoch !== targetEpoch) return next(given, member.memberEpoch);
      return hasSubscriptionChanged ? shrunk(given) : member;
    case memberStates.unrevokedPartitions:
      if (stillOwns(owned, member.pendingRevocation)) return hasSubscriptionChanged ? shrunk(given) : member;
      return next(given, member.memberEpoch);
    case memberStates.unreleasedPartitions:
      return next(given, member.memberEpoch);
    default:
      return owned === null || owned.size > 0 ? "fenced" : next(given, targetEpoch);
  }
}

function stillOwns(owned: Owned, pending: Assigned): boolean {
  if (owned === null) return true;
  for (const [topic, partitions] of owned) {
    const those = pending.get(topic);
    if (those !== undefined) for (const partition of partitions) if (those.has(partition)) return true;
  }
  return false;
}

function shrunk(given: Reconciliation): ConsumerMember {
  const { member, isSubscribedTo, owned } = given;
  const gone = [...member.assigned.keys()].filter((topic) => !isSubscribedTo(topic));
  if (gone.length === 0) return member;
  const assigned = new Map(member.assigned);
  const pendingRevocation = new Map(member.pendingRevocation);
  for (const topic of gone) {
    pendingRevocation.set(topic, new Map([...(pendingRevocation.get(topic) ?? []), ...assigned.get(topic)!]));
    assigned.delete(topic);
  }
  if (!stillOwns(owned, pendingRevocation)) return { ...member, assigned };
  return { ...member, state: memberStates.unrevokedPartitions, assigned, pendingRevocation };
}

function next(given: Reconciliation, memberEpoch: number): ConsumerMember {
  const { member, target, targetEpoch, ownerEpoch, isSubscribedTo, owned } = given;
  const assigned = new Map<Uuid, PartitionEpochs>();
  const pendingRevocation = new Map<Uuid, PartitionEpochs>();
  const pendingAssignment: { topic: Uuid; partitions: number[] }[] = [];
  let hasUnreleased = false;
  for (const topic of new Set([...target.keys(), ...member.assigned.keys()])) {
    const wanted = new Set(isSubscribedTo(topic) ? (target.get(topic) ?? []) : []);
    const kept = new Map<number, number>();
    const revoked = new Map<number, number>();
    for (const [partition, epoch] of member.assigned.get(topic) ?? [])
      (wanted.has(partition) ? kept : revoked).set(partition, epoch);
    const free: number[] = [];
    for (const partition of wanted) {
      if (kept.has(partition)) continue;
      const isOwn = member.pendingRevocation.get(topic)?.has(partition) === true;
      if (ownerEpoch(topic, partition) === -1 || isOwn) free.push(partition);
      else hasUnreleased = true;
    }
    if (kept.size > 0) assigned.set(topic, kept);
    if (revoked.size > 0) pendingRevocation.set(topic, revoked);
    if (free.length > 0) pendingAssignment.push({ topic, partitions: free });
  }
  if (pendingRevocation.size > 0 && stillOwns(owned, pendingRevocation)) {
    const state = memberStates.unrevokedPartitions;
    return { ...inEpoch(member, memberEpoch), state, assigned, pendingRevocation };
  }
  for (const { topic, partitions } of pendingAssignment) {
    const epochs = new Map(assigned.get(topic) ?? []);
    for (const partition of partitions) epochs.set(partition, targetEpoch);
    assigned.set(topic, epochs);
  }
  const state = hasUnreleased ? memberStates.unreleasedPartitions : memberStates.stable;
  return { ...inEpoch(member, targetEpoch), state, assigned, pendingRevocation: nothingAssigned };
}
