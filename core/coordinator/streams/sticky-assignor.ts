// Kafka's `sticky` task assignor: tasks stay where they are as far as the balance allows, then go where a copy is, then to the process that has the
// least. Standby copies go to other processes than the active task. Pure and deterministic.
import { type RoleTarget, type TaskTarget, taskKey } from "./tasks.ts";

export interface AssignorMember {
  readonly memberId: string;
  readonly processId: string;
  /** What it was to have. */
  readonly target: TaskTarget;
}

export interface AssignorSubtopology {
  readonly id: string;
  readonly taskCount: number;
  readonly isStateful: boolean;
}

interface Task {
  readonly key: string;
  readonly subtopologyId: string;
  readonly partition: number;
  readonly isStateful: boolean;
}

/** A member while tasks are given out. */
class Seat {
  readonly memberId: string;
  readonly process: Process;
  readonly active: Task[] = [];
  readonly standby: Task[] = [];

  constructor(memberId: string, process: Process) {
    this.memberId = memberId;
    this.process = process;
  }

  get count(): number {
    return this.active.length + this.standby.length;
  }
}

class Process {
  readonly seats: Seat[] = [];
  /** Keys of the tasks that are in it in whatever role. */
  readonly keys = new Set<string>();
  count = 0;

  get load(): number {
    return this.count / this.seats.length;
  }

  leastSeat(): Seat {
    let least = this.seats[0]!;
    for (const seat of this.seats) if (seat.count < least.count) least = seat;
    return least;
  }
}

/** How many a member may have before others come first; members that are full leave what remains to the rest. */
class Quota {
  private left: number;
  private members: number;
  perMember: number;

  constructor(tasks: number, members: number) {
    this.left = tasks;
    this.members = members;
    this.perMember = Quota.share(tasks, members);
  }

  private static share(tasks: number, members: number): number {
    return members === 0 ? 0 : Math.ceil(tasks / members);
  }

  onCount(count: number): void {
    if (count !== this.perMember) return;
    this.members--;
    this.left -= count;
    this.perMember = Quota.share(this.left, this.members);
  }
}

export function assignSticky(
  members: readonly AssignorMember[],
  subtopologies: readonly AssignorSubtopology[],
  standbyReplicaCount: number,
): Map<string, TaskTarget> {
  return new StickyAssignment(members, subtopologies, standbyReplicaCount).assign();
}

class StickyAssignment {
  private readonly processes: Process[] = [];
  private readonly seats: Seat[] = [];
  private readonly activeBefore = new Map<string, Seat>();
  private readonly standbyBefore = new Map<string, Seat[]>();
  private readonly tasks: Task[] = [];
  private readonly standbyReplicaCount: number;
  private readonly activeQuota: Quota;
  private readonly taskQuota: Quota;

  constructor(
    members: readonly AssignorMember[],
    subtopologies: readonly AssignorSubtopology[],
    standbyReplicaCount: number,
  ) {
    this.standbyReplicaCount = standbyReplicaCount;
    let copies = 0;
    for (const { id, taskCount, isStateful } of subtopologies) {
      if (isStateful) copies += taskCount * standbyReplicaCount;
      for (let partition = 0; partition < taskCount; partition++)
        this.tasks.push({ key: taskKey(id, partition), subtopologyId: id, partition, isStateful });
    }
    this.activeQuota = new Quota(this.tasks.length, members.length);
    this.taskQuota = new Quota(this.tasks.length + copies, members.length);
    const byId = new Map<string, Process>();
    for (const member of members) {
      let process = byId.get(member.processId);
      if (process === undefined) {
        process = new Process();
        byId.set(member.processId, process);
        this.processes.push(process);
      }
      const seat = new Seat(member.memberId, process);
      process.seats.push(seat);
      this.seats.push(seat);
      for (const key of keysIn(member.target.active)) this.activeBefore.set(key, seat);
      for (const key of [...keysIn(member.target.standby), ...keysIn(member.target.warmup)]) {
        const before = this.standbyBefore.get(key);
        if (before === undefined) this.standbyBefore.set(key, [seat]);
        else before.push(seat);
      }
    }
  }

  assign(): Map<string, TaskTarget> {
    if (this.seats.length > 0) {
      this.assignActive();
      if (this.standbyReplicaCount > 0) this.assignStandby();
    }
    return new Map(
      this.seats.map(({ memberId, active, standby }) => [
        memberId,
        { active: compacted(active), standby: compacted(standby), warmup: new Map() },
      ]),
    );
  }

  private assignActive(): void {
    // The same partition of several subtopologies stays together.
    let left = [...this.tasks].sort((a, b) => a.partition - b.partition || compare(a.subtopologyId, b.subtopologyId));
    left = left.filter((task) => {
      const seat = this.activeBefore.get(task.key);
      return !this.giveActive(task, seat);
    });
    left = left.filter((task) => {
      const seat = leastLoaded(this.standbyBefore.get(task.key) ?? []);
      return !this.giveActive(task, seat);
    });
    left.sort((a, b) => compare(a.subtopologyId, b.subtopologyId) || a.partition - b.partition);
    for (const task of left) this.addActive(task, leastProcess(this.processes)!.leastSeat());
  }

  private giveActive(task: Task, seat: Seat | undefined): boolean {
    if (seat === undefined || seat.active.length >= this.activeQuota.perMember) return false;
    this.addActive(task, seat);
    return true;
  }

  private addActive(task: Task, seat: Seat): void {
    seat.active.push(task);
    this.count(task, seat);
    this.activeQuota.onCount(seat.active.length);
  }

  private count(task: Task, seat: Seat): void {
    seat.process.keys.add(task.key);
    seat.process.count++;
    this.taskQuota.onCount(seat.count);
  }

  private assignStandby(): void {
    const stateful = this.tasks
      .filter(({ isStateful }) => isStateful)
      .sort((a, b) => b.partition - a.partition || compare(b.subtopologyId, a.subtopologyId));
    const rest: { readonly task: Task; readonly copies: number }[] = [];
    for (const task of stateful) {
      let copies = this.standbyReplicaCount;
      for (; copies > 0; copies--) {
        const seat = this.formerHolder(task);
        if (seat === undefined) break;
        seat.standby.push(task);
        this.count(task, seat);
      }
      if (copies > 0) rest.push({ task, copies });
    }
    rest.sort((a, b) => compare(b.task.subtopologyId, a.task.subtopologyId) || b.task.partition - a.task.partition);
    for (const { task, copies } of rest) {
      for (let left = copies; left > 0; left--) {
        const process = leastProcess(this.processes, task.key);
        // Every process has it: more copies would help nobody.
        if (process === undefined) break;
        const seat = process.leastSeat();
        seat.standby.push(task);
        this.count(task, seat);
      }
    }
  }

  /** Who ran the task or had a copy of it, and has room. */
  private formerHolder(task: Task): Seat | undefined {
    const hasRoom = (seat: Seat): boolean => seat.count < this.taskQuota.perMember;
    const active = this.activeBefore.get(task.key);
    if (active !== undefined && !active.process.keys.has(task.key) && hasRoom(active)) return active;
    const free = (this.standbyBefore.get(task.key) ?? []).filter(({ process }) => !process.keys.has(task.key));
    const seat = leastLoaded(free);
    return seat !== undefined && hasRoom(seat) ? seat : undefined;
  }
}

function leastLoaded(seats: readonly Seat[]): Seat | undefined {
  let least: Seat | undefined;
  for (const seat of seats)
    if (least === undefined || (seat.process.load < least.process.load && seat.count < least.count)) least = seat;
  return least;
}

/** The one with the least per member; with a key, of those that do not have that task. */
function leastProcess(processes: readonly Process[], key?: string): Process | undefined {
  let least: Process | undefined;
  for (const process of processes) {
    if (key !== undefined && process.keys.has(key)) continue;
    if (least === undefined || process.load < least.load) least = process;
  }
  return least;
}

function* keysIn(target: RoleTarget): Generator<string> {
  for (const [subtopologyId, partitions] of target)
    for (const partition of partitions) yield taskKey(subtopologyId, partition);
}

function compacted(tasks: readonly Task[]): RoleTarget {
  const target = new Map<string, number[]>();
  for (const { subtopologyId, partition } of tasks) {
    const partitions = target.get(subtopologyId);
    if (partitions === undefined) target.set(subtopologyId, [partition]);
    else partitions.push(partition);
  }
  for (const partitions of target.values()) partitions.sort((a, b) => a - b);
  return target;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
