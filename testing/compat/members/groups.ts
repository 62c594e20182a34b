// Consumer groups whose members are processes: they join, are killed and paused, come back and leave, while a producer writes. Then all
// that they told must fit together, and the group must be stable with those who are left.
import type { Cluster } from "./cluster.ts";
import { Checklist, sessionMs } from "./cluster.ts";
import { reached } from "./driver.ts";
import { assignedTwice, heldByTwo, notProcessed, outOfOrder, shown } from "./judge.ts";
import { type Member, type MemberEvent, until } from "./member.ts";

const partitionCount = 6;
const recordsPerSecond = 240;
const settleMsMax = 45_000;

export type GroupRun = {
  readonly name: string;
  readonly protocol: "classic" | "consumer";
  /** As all clients call it: range, roundrobin, sticky, cooperative-sticky; uniform and range on the server's side. */
  readonly assignor: string;
  /** The clients of the five members, in the order in which they join: three at once, the others later. */
  readonly clients: readonly [string, string, string, string, string];
};

const java = ["java", "java", "java", "java", "java"] as const;

export const groupRuns: readonly GroupRun[] = [
  { name: "groups-range", protocol: "classic", assignor: "range", clients: java },
  { name: "groups-roundrobin", protocol: "classic", assignor: "roundrobin", clients: java },
  { name: "groups-sticky", protocol: "classic", assignor: "sticky", clients: java },
  { name: "groups-cooperative-sticky", protocol: "classic", assignor: "cooperative-sticky", clients: java },
  { name: "groups-consumer", protocol: "consumer", assignor: "uniform", clients: java },
  {
    name: "groups-mixed-classic",
    protocol: "classic",
    assignor: "roundrobin",
    clients: ["librdkafka", "franz-go", "java", "kafkajs", "platformatic-kafka"],
  },
  {
    name: "groups-mixed-consumer",
    protocol: "consumer",
    assignor: "uniform",
    clients: ["librdkafka", "franz-go", "java", "platformatic-kafka", "java"],
  },
];

const javaAssignors: Readonly<Record<string, string>> = {
  range: "org.apache.kafka.clients.consumer.RangeAssignor",
  roundrobin: "org.apache.kafka.clients.consumer.RoundRobinAssignor",
  sticky: "org.apache.kafka.clients.consumer.StickyAssignor",
  "cooperative-sticky": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
};

function javaOptions(run: GroupRun, group: string, clientId: string): Record<string, string | number> {
  const common = {
    "group.id": group,
    "client.id": clientId,
    "group.protocol": run.protocol,
    "max.poll.interval.ms": 30_000,
  };
  if (run.protocol === "consumer") return { ...common, "group.remote.assignor": run.assignor };
  return {
    ...common,
    "partition.assignment.strategy": javaAssignors[run.assignor] ?? run.assignor,
    "session.timeout.ms": sessionMs,
    "heartbeat.interval.ms": 500,
  };
}

class GroupScene {
  readonly events: MemberEvent[] = [];
  readonly members: Member[] = [];
  readonly #cluster: Cluster;
  readonly #run: GroupRun;
  readonly topic: string;
  readonly group: string;
  #joined = 0;

  constructor(cluster: Cluster, run: GroupRun) {
    this.#cluster = cluster;
    this.#run = run;
    this.topic = `${run.name}${cluster.tag}`;
    this.group = `${run.name}-group${cluster.tag}`;
  }

  async join(): Promise<Member> {
    const client = this.#run.clients[this.#joined]!;
    const name = `${client}-${++this.#joined}`;
    const { protocol, assignor } = this.#run;
    const options: Readonly<Record<string, string | number>> =
      client === "java"
        ? { topic: this.topic, ...javaOptions(this.#run, this.group, name) }
        : { topic: this.topic, group: this.group, client: name, protocol, assignor, session: sessionMs };
    const member = await this.#cluster.member(client, name, "consumer", options, this.events);
    this.members.push(member);
    return member;
  }

  live(): Member[] {
    return this.members.filter((each) => each.isLive);
  }

  /** Every partition is held by exactly one live member, and every live member holds one at least. */
  settled(what: string): Promise<void> {
    const holds = (): boolean => {
      const ended = this.members.find((each) => each.exitCode !== undefined && !this.#mayEnd.has(each));
      if (ended !== undefined)
        throw new Error(`${ended.name} ended by itself with ${ended.exitCode}: ${ended.errors.slice(-800)}`);
      const live = this.live();
      const held = live.flatMap((each) => [...each.owned]);
      return (
        live.every((each) => each.owned.size > 0) &&
        held.length === partitionCount &&
        new Set(held).size === partitionCount
      );
    };
    const why = (): string =>
      this.live()
        .map((each) => `${each.name} holds [${[...each.owned]}]`)
        .join(", ");
    return until(what, settleMsMax, holds, why);
  }

  readonly #mayEnd = new Set<Member>();
  mayEnd(member: Member): void {
    this.#mayEnd.add(member);
  }
}

/** The run's steps, each a check: what fails is named, and nothing after it is tried. */
async function play(cluster: Cluster, scene: GroupScene, list: Checklist): Promise<void> {
  const step = async (name: string, body: () => Promise<void>): Promise<void> => {
    const startedMs = performance.now();
    await body().catch((error: unknown) => {
      list.note(name, error instanceof Error ? error.message : String(error));
      throw new Error("ended");
    });
    list.note(name, "");
    if (process.env.COMPAT_TIMES !== undefined)
      cluster.say(`# ${(performance.now() - startedMs).toFixed(0)} ms ${name}`);
  };
  const { driver } = cluster;
  await step("three members share", async () => {
    await driver.create(scene.topic, partitionCount);
    await driver.write(scene.topic, partitionCount, recordsPerSecond);
    await Promise.all([scene.join(), scene.join(), scene.join()]);
    await scene.settled("three members share");
  });
  const [first, second, third] = scene.members as [Member, Member, Member];
  await step("two more join", async () => {
    await Promise.all([scene.join(), scene.join()]);
    await scene.settled("five members share");
  });
  await step("one is killed and one paused; the others take over", async () => {
    scene.mayEnd(first);
    await first.kill();
    second.pause();
    await scene.settled("three members took over");
  });
  await step("the paused one comes back", async () => {
    second.resume();
    await scene.settled("four members share");
  });
  await step("one leaves", async () => {
    scene.mayEnd(third);
    await third.leave();
    await scene.settled("three members share again");
  });
  const ends = await driver.stopWriting(scene.topic);
  await step("everything is processed and committed", async () => {
    let last = {};
    await until(
      "the committed offsets are the ends",
      settleMsMax,
      async () => {
        last = await driver.committed(scene.group, scene.topic);
        return reached(last, ends);
      },
      () => `committed ${JSON.stringify(last)} of ${JSON.stringify(ends)}`,
    );
    const problems = notProcessed(scene.events, ends);
    if (problems.length > 0) throw new Error(shown(problems));
  });
  await step("the group is stable with those who are left", async () => {
    let view = "";
    await until(
      "the coordinator's view is the members' own",
      15_000,
      async () => {
        const group = await driver.group(scene.group);
        view = JSON.stringify(group);
        const live = scene.live();
        const same = live.every(
          (each) => `${[...each.owned].sort()}` === `${group.members[each.name]?.slice().sort()}`,
        );
        return group.state === "Stable" && Object.keys(group.members).length === live.length && same;
      },
      () => view,
    );
  });
}

export async function runGroup(cluster: Cluster, run: GroupRun): Promise<Checklist> {
  const list = new Checklist(run.name);
  const scene = new GroupScene(cluster, run);
  try {
    await play(cluster, scene, list);
  } catch (error) {
    // The step that failed is in the list; whatever else went wrong is told here.
    const why = error instanceof Error ? error.message : String(error);
    if (why !== "ended") list.note("run", why);
  } finally {
    for (const member of scene.members) scene.mayEnd(member);
    await Promise.all(scene.members.map((each) => each.kill()));
  }
  const events = [...scene.events].sort((a, b) => a.ms - b.ms);
  list.note("no partition was held by two", shown(heldByTwo(events)));
  if (run.protocol === "classic") list.note("no generation assigned a partition twice", shown(assignedTwice(events)));
  list.note("every owner saw its records in order", shown(outOfOrder(events)));
  return list;
}
