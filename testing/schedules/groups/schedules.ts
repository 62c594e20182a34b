// Random schedules of the members of one group. Each kind says which members there are; what happens to them is the same.

import { ClassicMember, sessionTimeoutMs } from "./classic-member.ts";
import { ConsumerMember } from "./consumer-member.ts";
import { World } from "./world.ts";

const stepCount = 50;
const membersAtOnceMax = 4;

type Kind = "classic" | "consumer";

export function classicSchedule(seed: number): void {
  run(seed, () => "classic");
}

export function consumerSchedule(seed: number): void {
  run(seed, () => "consumer");
}

/** Members of both protocols in one group, which goes from one to the other and back. */
export function migrationSchedule(seed: number): void {
  run(seed, (world) => (world.below(2) === 0 ? "classic" : "consumer"));
}

type AnyMember = ClassicMember | ConsumerMember;

function run(seed: number, kindOf: (world: World) => Kind): void {
  // Drawn from the seed itself, so that every combination comes up however the rest goes.
  const assignmentIntervalMs = seed % 2 === 0 ? 0 : 1000;
  const isCooperative = seed % 3 === 0;
  const consumerGroup = () => ({ sessionTimeoutMs, heartbeatIntervalMs: 3000, assignmentIntervalMs });
  const world = new World(seed, { consumerGroup }, { t: 3, u: 2 });
  let count = 0;
  const start = (instanceId: string | null, kind: Kind): void => {
    const name = `m${count++}`;
    // Who comes back under an instance id wants what the one before it wanted: a classic group does not look at that again, and a consumer group keeps an expression.
    const topics =
      instanceId === null ? world.pick([["t"], ["u"], ["t", "u"]]) : instanceId === "i0" ? ["t"] : ["t", "u"];
    const hasRegex = kind === "consumer" && instanceId === null && world.below(6) === 0;
    const regex = hasRegex ? world.pick(["t|u", "[a-t]", "nothing"]) : null;
    world.members.push(
      kind === "classic"
        ? new ClassicMember(world, name, { instanceId, isCooperative, topics })
        : new ConsumerMember(world, name, { instanceId, topics: regex === null ? topics : [], regex }),
    );
  };
  const trace: string[] = [];
  try {
    for (let step = 0; step < stepCount; step++) {
      trace.push(act(world, start, kindOf));
      world.check();
    }
    trace.push("in peace");
    world.settle((member) => wantedTopics(world, member as AnyMember));
  } catch (error) {
    if (error instanceof Error) error.message += `\nafter: ${trace.join(", ")}`;
    throw error;
  }
}

function wantedTopics(world: World, member: AnyMember): readonly string[] {
  if (!(member instanceof ConsumerMember)) return member.topics;
  return member.wanted([...world.partitionCounts.keys()]);
}

/** One step, and what it was. */
function act(
  world: World,
  start: (instanceId: string | null, kind: Kind) => void,
  kindOf: (world: World) => Kind,
): string {
  const alive = world.members.filter(({ isGone }) => !isGone) as AnyMember[];
  const awake = alive.filter(({ isPaused }) => !isPaused);
  const action = world.below(40);
  if (alive.length === 0 || (action < 4 && alive.length < membersAtOnceMax)) {
    const kind = kindOf(world);
    // Sometimes under the instance id of one that died or hangs.
    const instanceId = world.below(4) === 0 ? `i${world.below(2)}` : null;
    start(instanceId, kind);
    return `start ${kind} ${instanceId ?? ""}`;
  }
  if (action < 24 && awake.length > 0) {
    const member = world.pick(awake);
    member.step();
    return `${member.name} steps`;
  }
  if (action < 28) {
    // Also who hangs: a commit may be on its way while all else stands still.
    const member = world.pick(alive);
    world.commit(member);
    return `${member.name} commits`;
  }
  const member = world.pick(alive);
  switch (action) {
    case 28:
      member.leave();
      return `${member.name} leaves`;
    case 29:
      member.isGone = true;
      return `${member.name} dies`;
    case 30:
      member.isPaused = true;
      return `${member.name} hangs`;
    case 31:
      member.isPaused = false;
      return `${member.name} goes on`;
    case 32: {
      const topic = world.pick(["t", "u"]);
      if (world.partitionCounts.get(topic)! < 6) world.grow(topic);
      return `${topic} grows`;
    }
    case 33:
      world.reload();
      return "reload";
    case 34:
    case 35:
      world.refuse(world.test.refusing === null && world.below(2) === 0);
      return world.test.refusing === null ? "appends go" : "appends are refused";
    case 36:
      if (member instanceof ConsumerMember) member.subscribe(world.pick([["t"], ["u"], ["t", "u"]]));
      return `${member.name} subscribes`;
    default: {
      const ms = world.pick([10, 1000, 3000, 9000, 15_000]);
      world.test.pass(ms);
      return `${ms} ms`;
    }
  }
}
