// One member's way to its target tasks: it gives up what it is no longer to have, then takes up the target's epoch, and gets what others have given
// up as that becomes free. Pure: a member in, the next member out.
//
//   state             → state               cause
//   Stable            → UnrevokedTasks      the target takes tasks away that the member still has
//   Stable            → UnreleasedTasks     the target gives tasks that another member, or another role in the process, still has
//   UnrevokedTasks    → Stable, Unreleased… the member no longer reports what it had to give up
//   UnreleasedTasks   → Stable              all have been released
import { inEpoch, type StreamsMember, streamsMemberStates } from "./streams-member.ts";
import {
  isWithoutTasks,
  noTasks,
  type OwnedTasks,
  ownsAnyOf,
  type RoleTarget,
  type RoleTasks,
  type Tasks,
  type TaskTarget,
} from "./tasks.ts";

/** Who has a task now, what is pending revocation included. */
export interface TaskOwners {
  /** Null: nobody runs it. */
  activeProcess(subtopologyId: string, partition: number): string | null;
  hasStandby(subtopologyId: string, partition: number, processId: string): boolean;
  hasWarmup(subtopologyId: string, partition: number, processId: string): boolean;
}

export interface StreamsReconciliation {
  readonly member: StreamsMember;
  readonly target: TaskTarget;
  readonly targetEpoch: number;
  readonly owners: TaskOwners;
  readonly owned: OwnedTasks | null;
}

/** "fenced": the member is in a state that this version does not know, and must begin anew. */
export function reconciledStreamsMember(given: StreamsReconciliation): StreamsMember | "fenced" {
  const { member, owned, targetEpoch } = given;
  switch (member.state) {
    case streamsMemberStates.stable:
      return member.memberEpoch === targetEpoch ? member : next(given, member.memberEpoch);
    case streamsMemberStates.unrevokedTasks:
      if (owned === null || ownsAnyOf(owned, member.pendingRevocation)) return member;
      return next(given, member.memberEpoch + 1);
    case streamsMemberStates.unreleasedTasks:
      return next(given, member.memberEpoch);
    default:
      if (owned === null || owned.active.size + owned.standby.size + owned.warmup.size > 0) return "fenced";
      return next(given, targetEpoch);
  }
}

interface RoleStep {
  readonly kept: RoleTasks;
  readonly revoked: RoleTasks;
  /** With what is kept. */
  readonly withFree: RoleTasks;
  readonly hasUnreleased: boolean;
}

function next(given: StreamsReconciliation, memberEpoch: number): StreamsMember {
  const { member, target, targetEpoch, owners, owned } = given;
  const { processId } = member;
  const isCopied = (subtopologyId: string, partition: number): boolean =>
    owners.hasStandby(subtopologyId, partition, processId) || owners.hasWarmup(subtopologyId, partition, processId);
  const isHere = (subtopologyId: string, partition: number): boolean =>
    owners.activeProcess(subtopologyId, partition) === processId || isCopied(subtopologyId, partition);
  const active = stepOf(
    member.assigned.active,
    target.active,
    targetEpoch,
    (subtopologyId, partition) =>
      owners.activeProcess(subtopologyId, partition) !== null || isCopied(subtopologyId, partition),
  );
  const standby = stepOf(member.assigned.standby, target.standby, 0, isHere);
  const warmup = stepOf(member.assigned.warmup, target.warmup, 0, isHere);
  const revoked: Tasks = { active: active.revoked, standby: standby.revoked, warmup: warmup.revoked };
  if (!isWithoutTasks(revoked) && (owned === null || ownsAnyOf(owned, revoked))) {
    return {
      ...inEpoch(member, memberEpoch),
      state: streamsMemberStates.unrevokedTasks,
      assigned: { active: active.kept, standby: standby.kept, warmup: warmup.kept },
      pendingRevocation: revoked,
    };
  }
  const hasUnreleased = active.hasUnreleased || standby.hasUnreleased || warmup.hasUnreleased;
  return {
    ...inEpoch(member, targetEpoch),
    state: hasUnreleased ? streamsMemberStates.unreleasedTasks : streamsMemberStates.stable,
    assigned: { active: active.withFree, standby: standby.withFree, warmup: warmup.withFree },
    pendingRevocation: noTasks,
  };
}

function stepOf(
  current: RoleTasks,
  target: RoleTarget,
  epoch: number,
  isUnreleased: (subtopologyId: string, partition: number) => boolean,
): RoleStep {
  const kept = new Map<string, ReadonlyMap<number, number>>();
  const revoked = new Map<string, ReadonlyMap<number, number>>();
  const withFree = new Map<string, ReadonlyMap<number, number>>();
  let hasUnreleased = false;
  for (const subtopologyId of new Set([...target.keys(), ...current.keys()])) {
    const wanted = new Set(target.get(subtopologyId));
    const keptHere = new Map<number, number>();
    const revokedHere = new Map<number, number>();
    for (const [partition, since] of current.get(subtopologyId) ?? [])
      (wanted.has(partition) ? keptHere : revokedHere).set(partition, since);
    const withFreeHere = new Map(keptHere);
    for (const partition of wanted) {
      if (keptHere.has(partition)) continue;
      if (isUnreleased(subtopologyId, partition)) hasUnreleased = true;
      else withFreeHere.set(partition, epoch);
    }
    if (keptHere.size > 0) kept.set(subtopologyId, keptHere);
    if (revokedHere.size > 0) revoked.set(subtopologyId, revokedHere);
    if (withFreeHere.size > 0) withFree.set(subtopologyId, withFreeHere);
  }
  return { kept, revoked, withFree, hasUnreleased };
}
