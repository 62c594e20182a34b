// Which partitions the members that can be asked for their state have: what interactive queries go by.
import type { StreamsGroupHeartbeatResponseInit } from "../../protocol/index.ts";
import type { GroupTopics } from "../group/group-topics.ts";
import type { StreamsGroup } from "./streams-group.ts";
import type { StreamsMember } from "./streams-member.ts";
import { type RoleTasks, taskIdsOf } from "./tasks.ts";
import type { ConfiguredTopology } from "./topology-configure.ts";

type Endpoints = NonNullable<StreamsGroupHeartbeatResponseInit["partitionsByUserEndpoint"]>;
type TopicPartitions = Endpoints[number]["activePartitions"];
type Endpoint = NonNullable<StreamsMember["userEndpoint"]>;

/** `updated` in place of the member of its id. */
export function endpointsOf(
  group: StreamsGroup,
  updated: StreamsMember,
  configured: ConfiguredTopology,
  topics: GroupTopics,
): Endpoints {
  const members = [...group.members.values()].filter(({ memberId }) => memberId !== updated.memberId);
  // The threads of one process share an endpoint; clients keep one entry for each.
  const byEndpoint = new Map<string, { userEndpoint: Endpoint; active: TopicPartitions; standby: TopicPartitions }>();
  for (const { userEndpoint, assigned } of [...members, updated]) {
    if (userEndpoint === null) continue;
    const key = `${userEndpoint.port} ${userEndpoint.host}`;
    const before = byEndpoint.get(key);
    const active = [...(before?.active ?? []), ...partitionsOf(assigned.active, configured, topics)];
    const standby = [...(before?.standby ?? []), ...partitionsOf(assigned.standby, configured, topics)];
    byEndpoint.set(key, { userEndpoint, active, standby });
  }
  return [...byEndpoint.values()].map(({ userEndpoint, active, standby }) => ({
    userEndpoint,
    activePartitions: merged(active),
    standbyPartitions: merged(standby),
  }));
}

/** Each topic once. */
function merged(topicPartitions: TopicPartitions): TopicPartitions {
  const byTopic = new Map<string, Set<number>>();
  for (const { topic, partitions } of topicPartitions)
    byTopic.set(topic, new Set([...(byTopic.get(topic) ?? []), ...partitions]));
  return [...byTopic].map(([topic, partitions]) => ({ topic, partitions: [...partitions].sort((a, b) => a - b) }));
}

function partitionsOf(tasks: RoleTasks, { subtopologies }: ConfiguredTopology, topics: GroupTopics): TopicPartitions {
  return taskIdsOf(tasks).flatMap(({ subtopologyId, partitions }) => {
    const subtopology = subtopologies?.get(subtopologyId)?.subtopology;
    if (subtopology === undefined) return [];
    const names = [...subtopology.sourceTopics, ...subtopology.repartitionSourceTopics.map(({ name }) => name)];
    return names.flatMap((topic) => {
      const count = topics.byName(topic)?.partitionCount ?? 0;
      const there = partitions.filter((partition) => partition < count);
      return there.length === 0 ? [] : [{ topic, partitions: there }];
    });
  });
}
