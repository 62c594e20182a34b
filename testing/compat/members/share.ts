// A share group whose members are processes, killed and paused with records in their hands: every record is delivered until the broker
// has accepted one acknowledgement of it, and never two.
import { Checklist, type Cluster } from "./cluster.ts";
import { acknowledgements, notProcessed, shown } from "./judge.ts";
import { type Member, type MemberEvent, sleep, until } from "./member.ts";

const partitionCount = 3;
const recordsPerSecond = 300;
/** Between delivery and acknowledgement, so that a kill or a pause meets records in between. */
const workMs = 60;
const lockMs = 3000;

export async function runShare(cluster: Cluster, name: string): Promise<Checklist> {
  const list = new Checklist(name);
  const { driver } = cluster;
  const topic = `${name}${cluster.tag}`;
  const group = `${name}-group${cluster.tag}`;
  const events: MemberEvent[] = [];
  const members: Member[] = [];
  const inOrder = (): MemberEvent[] => [...events].sort((a, b) => a.ms - b.ms);
  let joined = 0;
  const join = async (): Promise<Member> => {
    const clientId = `share-${++joined}`;
    const options = { topic, "group.id": group, "client.id": clientId, work: workMs };
    const member = await cluster.member("java", clientId, "share", options, events);
    members.push(member);
    return member;
  };
  const acknowledgedBy = (member: Member): number =>
    events
      .filter((event) => event.member === member.name && event.event === "acknowledged")
      .reduce((sum, event) => sum + (event.offsets?.length ?? 0), 0);
  const working = async (what: string, some: readonly Member[]): Promise<void> => {
    const before = some.map(acknowledgedBy);
    await until(
      what,
      30_000,
      () => some.every((each, index) => acknowledgedBy(each) >= before[index]! + 20),
      () => some.map((each) => `${each.name} ${acknowledgedBy(each)} ${each.errors.slice(-200)}`).join(", "),
    );
  };
  try {
    await driver.create(topic, partitionCount);
    await driver.groupConfig(group, { "share.auto.offset.reset": "earliest" });
    await driver.write(topic, partitionCount, recordsPerSecond);
    await Promise.all([join(), join(), join()]);
    const [first, second, third] = members as [Member, Member, Member];
    await working("three members work", [first, second, third]);
    list.note("three members work", "");
    await first.kill();
    second.pause();
    await join();
    await working("those who are left work on", [third, members[3]!]);
    list.note("one is killed and one paused; those who are left work on", "");
    // Longer than a lock lasts: what the paused one has in its hands goes to others, and its own acknowledgement comes too late.
    await sleep(lockMs + 500);
    second.resume();
    await working("the paused one works again", [second]);
    list.note("the paused one works again", "");
    await third.leave();
    const ends = await driver.stopWriting(topic);
    let last = {};
    await until(
      "the group has no lag",
      40_000,
      async () => {
        last = await driver.shareLag(group);
        return Object.keys(ends).every((partition) => (last as Record<string, number>)[partition] === 0);
      },
      () => `lag ${JSON.stringify(last)} at ends ${JSON.stringify(ends)}`,
    );
    list.note("the group comes to the end of the topic", "");
    list.note("every record was delivered", shown(notProcessed(events, ends)));
    // What a member that was killed had acknowledged without hearing of it cannot be counted by anybody.
    const count = Object.values(ends).reduce((sum, end) => sum + end, 0);
    const acknowledged = acknowledgements(inOrder()).count;
    const unheard = 40 * partitionCount;
    list.note(
      "every record was acknowledged",
      acknowledged <= count && acknowledged >= count - unheard ? "" : `${acknowledged} of ${count}`,
    );
  } catch (error) {
    list.note("run", error instanceof Error ? error.message : String(error));
  } finally {
    await Promise.all(members.map((each) => each.kill()));
  }
  list.note("no record was acknowledged by two or came again", shown(acknowledgements(inOrder()).problems));
  return list;
}
