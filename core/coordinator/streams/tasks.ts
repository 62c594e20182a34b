// Tasks: a subtopology and a partition number. A member has them in three roles; what it has and what it is to have are never changed once made.

/** Partitions by subtopology, ascending. */
export type RoleTarget = ReadonlyMap<string, readonly number[]>;
/** Partition → epoch in which the member got it, by subtopology. Only active tasks keep theirs in records; the others have 0. */
export type RoleTasks = ReadonlyMap<string, ReadonlyMap<number, number>>;

export interface TaskTarget {
  readonly active: RoleTarget;
  readonly standby: RoleTarget;
  readonly warmup: RoleTarget;
}

export interface Tasks {
  readonly active: RoleTasks;
  readonly standby: RoleTasks;
  readonly warmup: RoleTasks;
}

export interface TaskIds {
  subtopologyId: string;
  partitions: number[];
}

export const taskRoles = ["active", "standby", "warmup"] as const;
export type TaskRole = (typeof taskRoles)[number];

export const noRoleTasks: RoleTasks = new Map();
export const noTasks: Tasks = { active: noRoleTasks, standby: noRoleTasks, warmup: noRoleTasks };
export const noTaskTarget: TaskTarget = { active: new Map(), standby: new Map(), warmup: new Map() };

/** A subtopology's id may hold anything; the number ends at the first colon. */
export function taskKey(subtopologyId: string, partition: number): string {
  return `${partition}:${subtopologyId}`;
}

export function isWithoutTasks(tasks: Tasks): boolean {
  return tasks.active.size === 0 && tasks.standby.size === 0 && tasks.warmup.size === 0;
}

export function countOf(tasks: RoleTasks): number {
  let count = 0;
  for (const partitions of tasks.values()) count += partitions.size;
  return count;
}

/** The same tasks; `withEpochs`: got in the same epochs too. */
export function sameTasks(one: Tasks, other: Tasks, withEpochs: boolean): boolean {
  return taskRoles.every((role) => sameRole(one[role], other[role], withEpochs));
}

function sameRole(one: RoleTasks, other: RoleTasks, withEpochs: boolean): boolean {
  if (one === other) return true;
  if (one.size !== other.size) return false;
  for (const [subtopologyId, partitions] of one) {
    const others = other.get(subtopologyId);
    if (others === undefined || others.size !== partitions.size) return false;
    for (const [partition, epoch] of partitions) {
      const otherEpoch = others.get(partition);
      if (otherEpoch === undefined || (withEpochs && otherEpoch !== epoch)) return false;
    }
  }
  return true;
}

export function sameTaskTarget(one: TaskTarget, other: TaskTarget): boolean {
  return taskRoles.every((role) => {
    const [these, those] = [one[role], other[role]];
    if (these.size !== those.size) return false;
    for (const [subtopologyId, partitions] of these) {
      const others = those.get(subtopologyId);
      if (others === undefined || others.length !== partitions.length) return false;
      if (partitions.some((partition, index) => others[index] !== partition)) return false;
    }
    return true;
  });
}

/** What a member says it has; null where it did not say. */
export interface OwnedTasks {
  readonly active: ReadonlySet<string>;
  readonly standby: ReadonlySet<string>;
  readonly warmup: ReadonlySet<string>;
}

type GivenTaskIds = readonly { readonly subtopologyId: string; readonly partitions: readonly number[] }[];

export function ownedTasks(
  active: GivenTaskIds | null,
  standby: GivenTaskIds | null,
  warmup: GivenTaskIds | null,
): OwnedTasks | null {
  if (active === null || standby === null || warmup === null) return null;
  return { active: keysOf(active), standby: keysOf(standby), warmup: keysOf(warmup) };
}

function keysOf(ids: GivenTaskIds): Set<string> {
  const keys = new Set<string>();
  for (const { subtopologyId, partitions } of ids)
    for (const partition of partitions) keys.add(taskKey(subtopologyId, partition));
  return keys;
}

export function ownsAnyOf(owned: OwnedTasks, tasks: Tasks): boolean {
  return taskRoles.some((role) => {
    for (const [subtopologyId, partitions] of tasks[role])
      for (const partition of partitions.keys()) if (owned[role].has(taskKey(subtopologyId, partition))) return true;
    return false;
  });
}

export function ownsOnly(owned: OwnedTasks, tasks: Tasks): boolean {
  return taskRoles.every((role) => {
    const keys = new Set<string>();
    for (const [subtopologyId, partitions] of tasks[role])
      for (const partition of partitions.keys()) keys.add(taskKey(subtopologyId, partition));
    for (const key of owned[role]) if (!keys.has(key)) return false;
    return true;
  });
}

/** As messages and records hold them: subtopologies and partitions ascending. */
export function taskIdsOf(tasks: RoleTasks): TaskIds[] {
  return [...tasks]
    .map(([subtopologyId, partitions]) => ({
      subtopologyId,
      partitions: [...partitions.keys()].sort((a, b) => a - b),
    }))
    .sort(bySubtopology);
}

export function targetIdsOf(target: RoleTarget): TaskIds[] {
  return [...target]
    .map(([subtopologyId, partitions]) => ({ subtopologyId, partitions: [...partitions] }))
    .sort(bySubtopology);
}

function bySubtopology(a: TaskIds, b: TaskIds): number {
  return a.subtopologyId < b.subtopologyId ? -1 : a.subtopologyId > b.subtopologyId ? 1 : 0;
}

export function roleTargetOf(ids: GivenTaskIds): RoleTarget {
  return new Map(
    ids.map(({ subtopologyId, partitions }) => [subtopologyId, [...partitions].sort((a, b) => a - b)] as const),
  );
}
