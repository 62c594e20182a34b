// Exactly once with members in processes of their own: a copy by transactions, and Kafka Streams counting words, while members are
// killed, paused, and replaced by others with the same transactional id.
import { join as joinPath } from "node:path";
import { Checklist, type Cluster, sessionMs } from "./cluster.ts";
import { reached } from "./driver.ts";
import { miscounted, notExactlyOnce, shown } from "./judge.ts";
import { type Member, type MemberEvent, sleep, until } from "./member.ts";

const partitionCount = 4;
const recordsPerSecond = 200;
const settleMsMax = 60_000;
/** How a copying member ends that finds another one in its place. */
const fencedCode = 3;

export async function runCopy(cluster: Cluster, name: string): Promise<Checklist> {
  const list = new Checklist(name);
  const { driver } = cluster;
  const [input, output] = [`${name}-in${cluster.tag}`, `${name}-out${cluster.tag}`];
  const group = `${name}-group${cluster.tag}`;
  const events: MemberEvent[] = [];
  const all: Member[] = [];
  let started = 0;
  const start = async (slot: number): Promise<Member> => {
    const options = {
      topic: input,
      output,
      "group.id": group,
      "transactional.id": `${name}-${slot}${cluster.tag}`,
      "session.timeout.ms": sessionMs,
      "heartbeat.interval.ms": 500,
      "max.poll.records": 50,
    };
    const member = await cluster.member("java", `copy-${slot}.${++started}`, "copy", options, events);
    all.push(member);
    return member;
  };
  const copied = (member: Member): number =>
    events.filter((event) => event.member === member.name && event.event === "copied").length;
  const working = async (what: string, some: readonly Member[]): Promise<void> => {
    const before = some.map(copied);
    await until(
      what,
      settleMsMax,
      () => some.every((each, index) => copied(each) >= before[index]! + 5),
      () => `${JSON.stringify(events.slice(-6))} ${some.map((each) => each.errors.slice(-300))}`,
    );
    list.note(what, "");
  };
  try {
    await driver.create(input, partitionCount);
    await driver.create(output, partitionCount);
    await driver.write(input, partitionCount, recordsPerSecond);
    const [first, second, third] = await Promise.all([start(1), start(2), start(3)]);
    await working("three members copy", [first, second, third]);
    // Killed with a transaction open, most likely; its successor has the same transactional id and ends that.
    await first.kill();
    const successor = await start(1);
    await working("a killed one is replaced", [successor, second, third]);
    // Paused, and another takes its transactional id: what the paused one has begun must never be seen.
    second.pause();
    const replacement = await start(2);
    await working("a paused one is replaced", [replacement, third]);
    second.resume();
    const code = await second.ended();
    list.note(
      "the one that was paused is fenced",
      code === fencedCode ? "" : `it ended with ${code}: ${second.errors}`,
    );
    // Paused for longer than the session: its partitions go to others, and its transaction cannot commit their offsets.
    third.pause();
    await sleep(sessionMs + 1500);
    third.resume();
    await working("one that lost its partitions goes on", [successor, replacement]);
    const ends = await driver.stopWriting(input);
    let last = {};
    await until(
      "the committed offsets are the ends",
      settleMsMax,
      async () => {
        last = await driver.committed(group, input);
        return reached(last, ends);
      },
      () => `committed ${JSON.stringify(last)} of ${JSON.stringify(ends)}`,
    );
    list.note("everything is copied", "");
    list.note("each record once and in order", shown(notExactlyOnce(await driver.read(output), ends)));
  } catch (error) {
    list.note("run", error instanceof Error ? error.message : String(error));
  } finally {
    await Promise.all(all.map((each) => each.kill()));
  }
  return list;
}

export async function runWordCount(
  cluster: Cluster,
  name: string,
  protocol: "classic" | "streams",
): Promise<Checklist> {
  const list = new Checklist(name);
  const { driver } = cluster;
  const [input, output] = [`${name}-in${cluster.tag}`, `${name}-out${cluster.tag}`];
  const application = `${name}-app${cluster.tag}`;
  const events: MemberEvent[] = [];
  const all: Member[] = [];
  let started = 0;
  const start = async (instance: number): Promise<Member> => {
    const options = {
      topic: input,
      output,
      "application.id": application,
      "group.protocol": protocol,
      "state.dir": joinPath(cluster.workDir, `${name}-${instance}`),
      session: protocol === "classic" ? sessionMs : 0,
    };
    const member = await cluster.member("streams", `streams-${instance}.${++started}`, "wordcount", options, events);
    all.push(member);
    return member;
  };
  const running = (member: Member): Promise<void> =>
    until(
      `${member.name} runs`,
      settleMsMax,
      () => events.some((event) => event.member === member.name && event.event === "running"),
      () => `${JSON.stringify(events.slice(-5))} ${member.errors.slice(-600)}`,
    );
  const counting = async (what: string): Promise<void> => {
    const sum = async (): Promise<number> =>
      Object.values(await driver.ends(output, "read_committed")).reduce((total, end) => total + end, 0);
    const before = await sum();
    await until(
      what,
      settleMsMax,
      async () => (await sum()) > before + 100,
      () => `${JSON.stringify(events.slice(-5))}`,
    );
    list.note(what, "");
  };
  try {
    await driver.create(input, partitionCount);
    await driver.create(output, partitionCount);
    await driver.write(input, partitionCount, recordsPerSecond / 2, true);
    const [first, second] = await Promise.all([start(1), start(2)]);
    await Promise.all([running(first), running(second)]);
    await counting("two instances count");
    await first.kill();
    const third = await start(1);
    await running(third);
    await counting("a killed one starts again");
    second.pause();
    await sleep(sessionMs + 1500);
    await counting("the other one counts on while one is paused");
    second.resume();
    await counting("the paused one comes back");
    const ends = await driver.stopWriting(input);
    let problems: string[] = [];
    let committed = {};
    await until(
      "everything is counted",
      settleMsMax,
      async () => {
        committed = await driver.committed(application, input);
        return reached(committed, ends);
      },
      () => `committed ${JSON.stringify(committed)} of ${JSON.stringify(ends)}`,
    );
    const lines = await driver.read(input);
    // What is behind the repartition topic may still be under way when the input's offsets are committed.
    for (let tries = 0; tries < 40; tries++) {
      problems = miscounted(lines, await driver.read(output));
      if (problems.length === 0) break;
      await sleep(500);
    }
    list.note("counts are exact, each told once", shown(problems));
  } catch (error) {
    list.note("run", error instanceof Error ? error.message : String(error));
  } finally {
    await Promise.all(all.map((each) => each.kill()));
  }
  return list;
}
