// BrokerHeartbeat: what a broker wants and what it may be. A table of states, the one that it is in → the one that it is to be in:
//
//   fenced               → unfenced: it wants in and has replayed its own registration    → shut down: it wants to stop
//   unfenced             → fenced: it wants out                                             → shut down: it wants to stop, leads nothing
//                        → controlled shutdown: it wants to stop, leads something
//   controlled shutdown  → shut down: it leads nothing, and everybody else has heard so
import type { Uuid } from "../../base/index.ts";
import type { MetadataRecordInit } from "../../protocol/index.ts";
import type { BrokerRegistration } from "../image/index.ts";
import {
  beginControlledShutdown,
  cordonDirectories,
  fenceBroker,
  staleBrokerRefusal,
  unfenceBroker,
} from "./brokers.ts";
import { type DecideContext, type Decision, DecisionRefused, decisionOf } from "./decision.ts";
import { recordsWithoutDirectories } from "./replica-directories.ts";

export interface Heartbeat {
  readonly brokerId: number;
  readonly brokerEpoch: number;
  /** Of the last metadata record that the broker has replayed. */
  readonly currentMetadataOffset: number;
  readonly wantFence: boolean;
  readonly wantShutDown: boolean;
  readonly offlineDirectories: readonly Uuid[];
  /** Null: the broker's version says nothing of them. */
  readonly cordonedDirectories: readonly Uuid[] | null;
}

/** How far the others are, which a broker waits for before it stops. */
export interface ShutdownProgress {
  /** The offset at which the broker's controlled shutdown began; null before it. */
  readonly shutdownOffset: number | null;
  /** The least offset that any active broker has replayed. */
  readonly lowestActiveOffset: number;
}

export type BrokerState = "fenced" | "unfenced" | "controlled shutdown" | "shut down";

export interface HeartbeatAnswer {
  readonly state: BrokerState;
  readonly isCaughtUp: boolean;
  readonly isFenced: boolean;
  readonly shouldShutDown: boolean;
}

/** Throws DecisionRefused where the broker is not the one that is registered. */
export function brokerHeartbeat(
  context: DecideContext,
  heartbeat: Heartbeat,
  progress: ShutdownProgress,
): Decision<HeartbeatAnswer> {
  const { brokerId } = heartbeat;
  const stale = staleBrokerRefusal(context, brokerId, heartbeat.brokerEpoch);
  if (stale !== null) throw new DecisionRefused(stale.errorCode, stale.errorMessage ?? "");
  const broker = context.image.cluster.broker(brokerId)!;
  const isCaughtUp = heartbeat.currentMetadataOffset >= broker.epoch;
  const state = nextState(context, broker, heartbeat, progress, isCaughtUp);
  const records: MetadataRecordInit[] = [...changeInto(context, broker, state)];
  if (heartbeat.offlineDirectories.length > 0) {
    records.push(...recordsWithoutDirectories(context, brokerId, heartbeat.offlineDirectories));
  }
  if (heartbeat.cordonedDirectories !== null) {
    records.push(...cordonDirectories(context, brokerId, heartbeat.cordonedDirectories).records);
  }
  const isFenced = state === "fenced" || state === "shut down";
  return decisionOf({ state, isCaughtUp, isFenced, shouldShutDown: state === "shut down" }, records);
}

function nextState(
  context: DecideContext,
  broker: BrokerRegistration,
  { wantFence, wantShutDown }: Heartbeat,
  { lowestActiveOffset, shutdownOffset }: ShutdownProgress,
  isCaughtUp: boolean,
): BrokerState {
  if (broker.fenced) {
    if (wantShutDown) return "shut down";
    return wantFence || !isCaughtUp ? "fenced" : "unfenced";
  }
  if (broker.inControlledShutdown) {
    if (leadsAny(context, broker.id)) return "controlled shutdown";
    return (shutdownOffset ?? Number.MAX_SAFE_INTEGER) <= lowestActiveOffset ? "shut down" : "controlled shutdown";
  }
  if (wantFence) return wantShutDown ? "shut down" : "fenced";
  if (!wantShutDown) return "unfenced";
  return leadsAny(context, broker.id) ? "controlled shutdown" : "shut down";
}

function changeInto(context: DecideContext, { id }: BrokerRegistration, state: BrokerState) {
  switch (state) {
    case "unfenced":
      return unfenceBroker(context, id).records;
    case "controlled shutdown":
      return beginControlledShutdown(context, id).records;
    default:
      return fenceBroker(context, id).records;
  }
}

function leadsAny({ image }: DecideContext, brokerId: number): boolean {
  for (const { partitions } of image.topics.byName.values()) {
    for (const partition of partitions) if (partition.leader === brokerId) return true;
  }
  return false;
}
