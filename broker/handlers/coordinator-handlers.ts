// Registers the handlers of groups: each goes to the shard that owns its key.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Coordinators } from "../shards/coordinators.ts";
import { createOffsetCommitHandler } from "./08-offset-commit.ts";
import { createOffsetFetchHandler } from "./09-offset-fetch.ts";
import { createFindCoordinatorHandler } from "./10-find-coordinator.ts";
import { createJoinGroupHandler } from "./11-join-group.ts";
import { createHeartbeatHandler } from "./12-heartbeat.ts";
import { createLeaveGroupHandler } from "./13-leave-group.ts";
import { createSyncGroupHandler } from "./14-sync-group.ts";
import { createDescribeGroupsHandler } from "./15-describe-groups.ts";
import { createListGroupsHandler } from "./16-list-groups.ts";
import { createDeleteGroupsHandler } from "./42-delete-groups.ts";
import { createOffsetDeleteHandler } from "./47-offset-delete.ts";
import { createConsumerGroupHeartbeatHandler } from "./68-consumer-group-heartbeat.ts";
import { createConsumerGroupDescribeHandler } from "./69-consumer-group-describe.ts";
import { createStreamsGroupHeartbeatHandler } from "./88-streams-group-heartbeat.ts";
import { createStreamsGroupDescribeHandler } from "./89-streams-group-describe.ts";
import type { HandlerTable } from "./handler-table.ts";
import { registerShareHandlers } from "./share-handlers.ts";

export function registerCoordinatorHandlers(table: HandlerTable, parts: BrokerParts, coordinators: Coordinators): void {
  const groupParts = { ...parts, coordinators };
  table.add(ApiKey.FindCoordinator, createFindCoordinatorHandler(parts));
  table.add(ApiKey.OffsetCommit, createOffsetCommitHandler(groupParts));
  table.add(ApiKey.OffsetFetch, createOffsetFetchHandler(groupParts));
  table.add(ApiKey.JoinGroup, createJoinGroupHandler(groupParts));
  table.add(ApiKey.Heartbeat, createHeartbeatHandler(groupParts));
  table.add(ApiKey.LeaveGroup, createLeaveGroupHandler(groupParts));
  table.add(ApiKey.SyncGroup, createSyncGroupHandler(groupParts));
  table.add(ApiKey.DescribeGroups, createDescribeGroupsHandler(groupParts));
  table.add(ApiKey.ListGroups, createListGroupsHandler(groupParts));
  table.add(
    ApiKey.DeleteGroups,
    createDeleteGroupsHandler({ ...groupParts, shareStates: registerShareHandlers(table, groupParts) }),
  );
  table.add(ApiKey.OffsetDelete, createOffsetDeleteHandler(groupParts));
  table.add(ApiKey.ConsumerGroupHeartbeat, createConsumerGroupHeartbeatHandler(groupParts));
  table.add(ApiKey.ConsumerGroupDescribe, createConsumerGroupDescribeHandler(groupParts));
  table.add(ApiKey.StreamsGroupHeartbeat, createStreamsGroupHeartbeatHandler(groupParts));
  table.add(ApiKey.StreamsGroupDescribe, createStreamsGroupDescribeHandler(groupParts));
}
