// The sticky assignor against what must hold for every group: each task once, balanced, copies elsewhere, and little moved.
import { expect, it } from "vitest";
import { seededRandom } from "../../base/index.ts";
import { type AssignorMember, assignSticky } from "./sticky-assignor.ts";
import { noTaskTarget, type RoleTarget, type TaskTarget, taskKey } from "./tasks.ts";

function keysOf(target: RoleTarget): string[] {
  return [...target].flatMap(([id, partitions]) => partitions.map((partition) => taskKey(id, partition)));
}

it("gives each task once, evenly, with copies in other processes, and moves no more than it must", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seededRandom(seed);
    const pick = (below: number): number => random.uint32() % below;
    const subtopologies = Array.from({ length: 1 + pick(3) }, (_, id) => ({
      ...{ id: `s${id}`, taskCount: 1 + pick(7), isStateful: pick(2) === 0 },
    }));
    const replicas = pick(3);
    const taskCount = subtopologies.reduce((sum, one) => sum + one.taskCount, 0);
    let members: AssignorMember[] = Array.from({ length: 1 + pick(5) }, (_, index) => ({
      ...{ memberId: `m${index}`, processId: `p${pick(4)}`, target: noTaskTarget },
    }));
    for (let round = 0; round < 3; round++) {
      const targets = assignSticky(members, subtopologies, replicas);
      check(members, targets, taskCount, subtopologies, replicas, `seed ${seed}, round ${round}`);
      members = members.map((member) => ({ ...member, target: targets.get(member.memberId)! }));
      const again = assignSticky(members, subtopologies, replicas);
      for (const { memberId, target } of members)
        expect(keysOf(again.get(memberId)!.active).sort(), `seed ${seed}: nothing moves`).toEqual(
          keysOf(target.active).sort(),
        );
      if (members.length > 1 && pick(2) === 0) members.splice(pick(members.length), 1);
      else members.push({ memberId: `n${round}`, processId: `p${pick(4)}`, target: noTaskTarget });
    }
  }
});

function check(
  members: readonly AssignorMember[],
  targets: ReadonlyMap<string, TaskTarget>,
  taskCount: number,
  subtopologies: readonly { readonly taskCount: number; readonly isStateful: boolean }[],
  replicas: number,
  where: string,
): void {
  const active = [...targets.values()].flatMap((target) => keysOf(target.active));
  expect(active.length, where).toBe(taskCount);
  expect(new Set(active).size, where).toBe(taskCount);
  const processes = new Map<string, string[]>();
  for (const { memberId, processId } of members) {
    const target = targets.get(memberId)!;
    const keys = [...keysOf(target.active), ...keysOf(target.standby)];
    processes.set(processId, [...(processes.get(processId) ?? []), ...keys]);
  }
  for (const keys of processes.values())
    expect(new Set(keys).size, `${where}: a task twice in a process`).toBe(keys.length);
  const stateful = subtopologies.reduce((sum, one) => sum + (one.isStateful ? one.taskCount : 0), 0);
  const copies = [...targets.values()].flatMap((target) => keysOf(target.standby)).length;
  expect(copies, `${where}: copies`).toBe(stateful * Math.min(replicas, processes.size - 1));
}

it("lets a copy become the task when its owner is gone", () => {
  const subtopologies = [{ id: "s", taskCount: 4, isStateful: true }];
  const two = ["a", "b"].map((id) => ({ memberId: id, processId: id, target: noTaskTarget }));
  const first = assignSticky(two, subtopologies, 1);
  const three = ["a", "b", "c"].map((id) => ({ memberId: id, processId: id, target: first.get(id) ?? noTaskTarget }));
  const second = assignSticky(three.slice(1), subtopologies, 1);
  const [before] = [new Set([...keysOf(first.get("b")!.active), ...keysOf(first.get("b")!.standby)])];
  for (const key of keysOf(second.get("b")!.active)) expect(before).toContain(key);
  expect(keysOf(second.get("b")!.active)).toHaveLength(2);
});
