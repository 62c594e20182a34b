// Registers the handlers of share groups: on the group shard, on the share coordinator, and on the partitions that this broker leads.
import { ApiKey } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Coordinators } from "../shards/coordinators.ts";
import { ShareBroker } from "../share/share-broker.ts";
import { ShareGroupStates } from "../share/share-group-states.ts";
import { createShareGroupHeartbeatHandler } from "./76-share-group-heartbeat.ts";
import { createShareGroupDescribeHandler } from "./77-share-group-describe.ts";
import { createShareFetchHandler } from "./78-share-fetch.ts";
import { createShareAcknowledgeHandler } from "./79-share-acknowledge.ts";
import { createInitializeShareGroupStateHandler } from "./83-initialize-share-group-state.ts";
import { createReadShareGroupStateHandler } from "./84-read-share-group-state.ts";
import { createWriteShareGroupStateHandler } from "./85-write-share-group-state.ts";
import { createDeleteShareGroupStateHandler } from "./86-delete-share-group-state.ts";
import { createReadShareGroupStateSummaryHandler } from "./87-read-share-group-state-summary.ts";
import { createDescribeShareGroupOffsetsHandler } from "./90-describe-share-group-offsets.ts";
import { createAlterShareGroupOffsetsHandler } from "./91-alter-share-group-offsets.ts";
import { createDeleteShareGroupOffsetsHandler } from "./92-delete-share-group-offsets.ts";
import type { HandlerTable } from "./handler-table.ts";

/** The states are for DeleteGroups too: a share group takes its own with it. */
export function registerShareHandlers(
  table: HandlerTable,
  parts: BrokerParts & { readonly coordinators: Coordinators },
): ShareGroupStates {
  const { groups, shares } = parts.coordinators;
  const shareBroker = new ShareBroker(parts, shares);
  const shareStates = new ShareGroupStates(groups, shares, shareBroker.hosted);
  const shareParts = { ...parts, shareBroker, shareStates };
  table.add(ApiKey.ShareGroupHeartbeat, createShareGroupHeartbeatHandler(shareParts));
  table.add(ApiKey.ShareGroupDescribe, createShareGroupDescribeHandler(shareParts));
  table.add(ApiKey.ShareFetch, createShareFetchHandler(shareParts));
  table.add(ApiKey.ShareAcknowledge, createShareAcknowledgeHandler(shareParts));
  table.add(ApiKey.InitializeShareGroupState, createInitializeShareGroupStateHandler(shareParts));
  table.add(ApiKey.ReadShareGroupState, createReadShareGroupStateHandler(shareParts));
  table.add(ApiKey.WriteShareGroupState, createWriteShareGroupStateHandler(shareParts));
  table.add(ApiKey.DeleteShareGroupState, createDeleteShareGroupStateHandler(shareParts));
  table.add(ApiKey.ReadShareGroupStateSummary, createReadShareGroupStateSummaryHandler(shareParts));
  table.add(ApiKey.DescribeShareGroupOffsets, createDescribeShareGroupOffsetsHandler(shareParts));
  table.add(ApiKey.AlterShareGroupOffsets, createAlterShareGroupOffsetsHandler(shareParts));
  table.add(ApiKey.DeleteShareGroupOffsets, createDeleteShareGroupOffsetsHandler(shareParts));
  return shareStates;
}
