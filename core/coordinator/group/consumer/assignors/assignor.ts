// What a server-side assignor is given and gives. Pure: the same input gives the same assignment.
import type { Uuid } from "../../../../base/index.ts";
import type { Target } from "../consumer-member.ts";

export interface AssignorMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  /** Topics that exist. */
  readonly topics: ReadonlySet<Uuid>;
  /** Its part of the target before. */
  readonly target: Target;
}

export interface AssignorTopic {
  readonly id: Uuid;
  readonly partitionCount: number;
  racksOf(partition: number): readonly string[];
}

export interface AssignorInput {
  readonly members: readonly AssignorMember[];
  readonly topics: ReadonlyMap<Uuid, AssignorTopic>;
}

export type Assignor = (input: AssignorInput) => Map<string, Target>;

export function targetOfLists(lists: ReadonlyMap<Uuid, number[]>): Target {
  const target = new Map<Uuid, readonly number[]>();
  for (const topic of [...lists.keys()].sort()) {
    const partitions = lists.get(topic)!;
    if (partitions.length === 0) continue;
    if (!isAscending(partitions)) partitions.sort((a, b) => a - b);
    target.set(topic, partitions);
  }
  return target;
}

function isAscending(partitions: readonly number[]): boolean {
  for (let index = 1; index < partitions.length; index++) if (partitions[index - 1]! > partitions[index]!) return false;
  return true;
}
