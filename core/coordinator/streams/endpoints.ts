// Which partitions the members that can be asked for their state have: what interactive queries go by.
import type { StreamsGroupHeartbeatResponseInit } from "../../protocol/index.ts";
import type { GroupTopics } from "../group/group-topics.ts";
import type { StreamsGroup } from "./streams-group.ts";
import type { StreamsMember } from "./streams-member.ts";
import { type RoleTasks, taskIdsOf } from "./tasks.ts";
import type { ConfiguredTopology } from "./topology-configure.ts";

type Endpoints = NonNullable<StreamsGroupHeartbeatResponseInit["partitionsByUserEndpoint"]>;
type TopicPartitions = Endpoints[number]["activePartitions"];

/** `updated` in place of the member of its id. */
export function endpointsOf(
  group: StreamsGroup,
  updated: StreamsMember,
  configured: ConfiguredTopology,
  topics: GroupTopics,
): Endpoints {
  const members = [...group.members.values()].filter(({ memberId }) => memberId !== updated.memberId);
  return [...members, updated].flatMap(({ userEndpoint, assigned }) =>
    userEndpoint === null
      ? []
      : [
          {
            userEndpoint,
            activePartitions: partitionsOf(assigned.active, configured, topics),
            standbyPartitions: partitionsOf(assigned.standby, configured, topics),
          },
        ],
  );
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
