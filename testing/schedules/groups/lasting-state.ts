// What of a group must be the same after a replay of its records, as text that can be compared.
import { ClassicGroup, ConsumerGroup, type Group, type GroupShard, StreamsGroup } from "@blumfeld/core/coordinator";

/** Null: a classic group between two generations, or ahead of a record that was refused: it is in no record. */
export function lastingState(shard: GroupShard, groupId: string, wasRefused: boolean): string | null {
  const group = shard.group(groupId);
  if (group === undefined) return "none";
  if (group instanceof ClassicGroup) return classicState(group, wasRefused);
  if (group instanceof ConsumerGroup) return consumerState(group);
  if (group instanceof StreamsGroup) return streamsState(group);
  return (group as Group).type;
}

/** Of a classic group only what stood when it last became stable or empty is written. */
function classicState(group: ClassicGroup, wasRefused: boolean): string | null {
  if (group.state !== "Stable" && group.state !== "Empty") return null;
  if (wasRefused) return null;
  // A group that only keeps offsets is in no record of its own, nor are members that have joined no generation.
  if (group.protocolType === null || group.generationId === 0) return null;
  const members = [...group.members.values()].map((member) => [
    ...[member.memberId, member.groupInstanceId, member.clientId, member.sessionTimeoutMs, member.rebalanceTimeoutMs],
    ...[member.metadataOf(group.protocolName)?.toString("hex"), member.assignment.toString("hex")],
  ]);
  return text(["classic", group.generationId, group.protocolName, group.leaderId, members.sort()]);
}

function consumerState(group: ConsumerGroup): string {
  const plain = (assigned: ReadonlyMap<string, ReadonlyMap<number, number>>): unknown =>
    [...assigned].map(([topic, partitions]) => [topic, [...partitions].sort(([a], [b]) => a - b)]).sort();
  const members = [...group.members.values()].map((member) => [
    ...[member.memberId, member.instanceId, member.rackId, member.rebalanceTimeoutMs, member.serverAssignor],
    ...[[...member.subscribedTopicNames].sort(), member.subscribedTopicRegex, member.classic !== null],
    ...[member.memberEpoch, member.previousMemberEpoch, member.state],
    ...[plain(member.assigned), plain(member.pendingRevocation), [...group.targetOf(member.memberId)].sort()],
    [...member.assigned].flatMap(([topic, own]) => [...own.keys()].map((one) => group.ownerEpoch(topic, one))),
  ]);
  const regexes = [...group.regexes].map(([pattern, { topics, version }]) => [pattern, [...topics].sort(), version]);
  const epochs = [group.groupEpoch, String(group.metadataHash), group.assignmentEpoch];
  return text(["consumer", epochs, members.sort(), regexes.sort(), [...group.staticMembers].sort()]);
}

function streamsState(group: StreamsGroup): string {
  const epochs = [group.groupEpoch, group.assignmentEpoch, String(group.metadataHash), group.validatedTopologyEpoch];
  const members = [...group.members.values()].map((member) => [
    ...[member.memberId, member.processId, member.rebalanceTimeoutMs, member.topologyEpoch],
    ...[member.memberEpoch, member.previousMemberEpoch, member.state],
    ...[plainTasks(member.assigned), plainTasks(member.pendingRevocation)],
    plainTasks(group.targetOf(member.memberId)),
  ]);
  return text(["streams", epochs, topologyText(group.topology), members.sort()]);
}

function plainTasks(tasks: Tasks | TaskTarget): unknown {
  return [tasks.active, tasks.standby, tasks.warmup].map((role) =>
    [...role].map(([subtopology, partitions]) => [subtopology, [...(partitions as Iterable<unknown>)].sort()]).sort(),
  );
}

type Tasks = Parameters<StreamsGroup["setMember"]>[0]["assigned"];
type TaskTarget = ReturnType<StreamsGroup["targetOf"]>;

const topologyTexts = new WeakMap<object, string>();

/** A topology is never changed once made: its text is made once. */
function topologyText(topology: StreamsGroup["topology"]): string {
  if (topology === null) return "none";
  let known = topologyTexts.get(topology);
  if (known === undefined) {
    known = JSON.stringify(topology, (_name, one: unknown) =>
      typeof one === "object" && one !== null && !Array.isArray(one)
        ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
        : one,
    );
    topologyTexts.set(topology, known);
  }
  return known;
}

function text(value: unknown): string {
  return JSON.stringify(value);
}
