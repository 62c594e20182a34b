// The life of a broker in the cluster: it registers (fenced), is unfenced when it has caught up, is fenced when it is silent or stops, and
// may be taken off the list. Every step moves the partitions that it touches.
import type { Uuid } from "../../base/index.ts";
import { ErrorCode, type MetadataRecordInit } from "../../protocol/index.ts";
import {
  type BrokerRegistration,
  brokerRecord,
  type ControllerRegistration,
  controllerRecord,
  directoryLost,
  directoryMigrating,
  directoryUnassigned,
  metadataVersions,
  type RegisteredEndpoint,
  type SupportedRange,
} from "../image/index.ts";
import { type DecideContext, type Decision, decisionOf, type Refusal, refusal } from "./decision.ts";
import { kraftVersionFeature } from "./features.ts";
import { recordsWithBroker, recordsWithoutBroker } from "./leaders.ts";

export interface RegistrationRequest {
  readonly brokerId: number;
  readonly clusterId: string;
  readonly incarnationId: Uuid;
  readonly endpoints: readonly RegisteredEndpoint[];
  readonly features: ReadonlyMap<string, SupportedRange>;
  readonly rack: string | null;
  readonly directories: readonly Uuid[];
  readonly cordonedDirectories: readonly Uuid[] | null;
  /** What the broker's last clean stop left; another value means that it did not stop cleanly. -1 where it knows none. */
  readonly previousBrokerEpoch: number;
}

export type RegistrationAnswer = Refusal & { readonly brokerEpoch: number };

export function registerBroker(context: DecideContext, request: RegistrationRequest): Decision<RegistrationAnswer> {
  const problem = registrationRefusal(context, request);
  if (problem !== null) return decisionOf({ ...problem, brokerEpoch: -1 });
  const { image } = context;
  const existing = image.cluster.broker(request.brokerId);
  const records: MetadataRecordInit[] = [];
  const isSameIncarnation = existing?.incarnationId === request.incarnationId;
  if (existing !== undefined && !isSameIncarnation) {
    const wasUnclean = image.features.isElrEnabled && request.previousBrokerEpoch !== existing.epoch;
    records.push(...recordsWithoutBroker(context, request.brokerId, wasUnclean));
  }
  const { metadataVersion } = image.features;
  // The epoch is the record's own offset: nobody else can have it.
  const epoch = isSameIncarnation ? existing!.epoch : context.nextOffset + records.length;
  const registration: BrokerRegistration = {
    id: request.brokerId,
    epoch,
    incarnationId: request.incarnationId,
    endpoints: new Map(request.endpoints.map((endpoint) => [endpoint.name, endpoint])),
    supportedFeatures: request.features,
    rack: request.rack,
    fenced: true,
    inControlledShutdown: false,
    isMigratingZkBroker: false,
    directories: request.directories,
    cordonedDirectories: request.cordonedDirectories,
  };
  records.push(brokerRecord(registration, metadataVersion));
  return decisionOf({ ...refusal(ErrorCode.NONE, null), brokerEpoch: epoch }, records);
}

function registrationRefusal(context: DecideContext, request: RegistrationRequest): Refusal | null {
  const { image } = context;
  if (request.clusterId !== context.clusterId) {
    const message = `The broker belongs to cluster ${request.clusterId}, this is ${context.clusterId}.`;
    return refusal(ErrorCode.INCONSISTENT_CLUSTER_ID, message);
  }
  const existing = image.cluster.broker(request.brokerId);
  if (existing !== undefined && existing.incarnationId !== request.incarnationId && !existing.fenced) {
    const message = `Another broker is registered with the id ${request.brokerId} and is alive.`;
    return refusal(ErrorCode.DUPLICATE_BROKER_REGISTRATION, message);
  }
  for (const [feature, level] of [...image.features.finalized, [kraftVersionFeature, context.kraftVersion] as const]) {
    const range = request.features.get(feature);
    if (range === undefined ? level > 0 : level < range.minVersion || level > range.maxVersion) {
      const supported = range === undefined ? "nothing of it" : `${range.minVersion} to ${range.maxVersion}`;
      const message = `The cluster has ${feature} at level ${level}; the broker supports ${supported}.`;
      return refusal(ErrorCode.UNSUPPORTED_VERSION, message);
    }
  }
  return directoriesRefusal(context, request);
}

function directoriesRefusal(context: DecideContext, request: RegistrationRequest): Refusal | null {
  const { image } = context;
  if (image.features.metadataVersion < metadataVersions.directories) return null;
  if (request.directories.length === 0) {
    return refusal(ErrorCode.INVALID_REGISTRATION, "The broker registers without any log directory.");
  }
  const reserved = [directoryUnassigned, directoryLost, directoryMigrating].find((id) =>
    request.directories.includes(id),
  );
  if (reserved !== undefined) {
    return refusal(ErrorCode.INVALID_REGISTRATION, `The directory.id ${reserved} is reserved.`);
  }
  if (new Set(request.directories).size < request.directories.length) {
    return refusal(ErrorCode.INVALID_REGISTRATION, "The broker registers with the same directory.id twice.");
  }
  for (const other of image.cluster.brokers.values()) {
    if (other.id === request.brokerId) continue;
    const shared = request.directories.find((directory) => other.directories.includes(directory));
    if (shared !== undefined) {
      return refusal(
        ErrorCode.INVALID_REGISTRATION,
        `Broker ${other.id} is registered with the same directory.id ${shared}.`,
      );
    }
  }
  return null;
}

export function registerController(context: DecideContext, registration: ControllerRegistration): Decision<Refusal> {
  if (context.image.features.metadataVersion < metadataVersions.controllerRegistration) {
    const message = "The finalized metadata.version does not have controller registrations.";
    return decisionOf(refusal(ErrorCode.UNSUPPORTED_VERSION, message));
  }
  return decisionOf(refusal(ErrorCode.NONE, null), [controllerRecord(registration)]);
}

/** Null where `brokerEpoch` is that of the broker's present registration. */
export function staleBrokerRefusal(context: DecideContext, brokerId: number, brokerEpoch: number): Refusal | null {
  const broker = context.image.cluster.broker(brokerId);
  if (broker === undefined) return refusal(ErrorCode.STALE_BROKER_EPOCH, `Broker ${brokerId} is not registered.`);
  if (broker.epoch === brokerEpoch) return null;
  const message = `Broker ${brokerId} is registered with epoch ${broker.epoch}, not ${brokerEpoch}.`;
  return refusal(ErrorCode.STALE_BROKER_EPOCH, message);
}

interface RegistrationChange {
  readonly fenced?: boolean;
  readonly inControlledShutdown?: boolean;
  /** Those that still work. */
  readonly directories?: readonly Uuid[];
  readonly cordonedDirectories?: readonly Uuid[];
}

const changeCode = (value: boolean): number => (value ? 1 : -1);

export function changeRecord(broker: BrokerRegistration, change: RegistrationChange): MetadataRecordInit {
  const { cordonedDirectories, directories, fenced, inControlledShutdown } = change;
  const version =
    cordonedDirectories !== undefined ? 3 : directories !== undefined ? 2 : inControlledShutdown !== undefined ? 1 : 0;
  return {
    type: "BrokerRegistrationChangeRecord",
    version,
    value: {
      brokerId: broker.id,
      brokerEpoch: BigInt(broker.epoch),
      fenced: fenced === undefined ? 0 : changeCode(fenced),
      inControlledShutdown: inControlledShutdown === undefined ? 0 : changeCode(inControlledShutdown),
      logDirs: directories ?? [],
      cordonedLogDirs: cordonedDirectories ?? null,
    },
  };
}

/** It takes part from now on: partitions that waited for it get their leader. */
export function unfenceBroker(context: DecideContext, brokerId: number): Decision<void> {
  const broker = context.image.cluster.broker(brokerId);
  if (broker === undefined || !broker.fenced) return decisionOf(undefined);
  return decisionOf(undefined, [changeRecord(broker, { fenced: false }), ...recordsWithBroker(context, brokerId)]);
}

export function fenceBroker(context: DecideContext, brokerId: number): Decision<void> {
  const broker = context.image.cluster.broker(brokerId);
  if (broker === undefined || broker.fenced) return decisionOf(undefined);
  return decisionOf(undefined, [...recordsWithoutBroker(context, brokerId), changeRecord(broker, { fenced: true })]);
}

/** It wants to stop: its partitions are led by others from now on, as far as there are others. */
export function beginControlledShutdown(context: DecideContext, brokerId: number): Decision<void> {
  const broker = context.image.cluster.broker(brokerId);
  if (broker === undefined || broker.fenced || broker.inControlledShutdown) return decisionOf(undefined);
  const change = changeRecord(broker, { inControlledShutdown: true });
  return decisionOf(undefined, [change, ...recordsWithoutBroker(context, brokerId)]);
}

export function cordonDirectories(
  context: DecideContext,
  brokerId: number,
  cordonedDirectories: readonly Uuid[],
): Decision<void> {
  const { image } = context;
  const broker = image.cluster.broker(brokerId);
  if (broker === undefined || image.features.metadataVersion < metadataVersions.cordonedDirectories) {
    return decisionOf(undefined);
  }
  const before = broker.cordonedDirectories;
  const isSame = before !== null && [...before].sort().join() === [...cordonedDirectories].sort().join();
  return decisionOf(undefined, isSame ? [] : [changeRecord(broker, { cordonedDirectories })]);
}

export function unregisterBroker(context: DecideContext, brokerId: number): Decision<Refusal> {
  const broker = context.image.cluster.broker(brokerId);
  if (broker === undefined) {
    return decisionOf(refusal(ErrorCode.BROKER_ID_NOT_REGISTERED, `Broker ID ${brokerId} is not currently registered`));
  }
  const value = { brokerId, brokerEpoch: BigInt(broker.epoch) };
  return decisionOf(refusal(ErrorCode.NONE, null), [
    ...recordsWithoutBroker(context, brokerId),
    { type: "UnregisterBrokerRecord", version: 0, value },
  ]);
}
