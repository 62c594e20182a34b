// Brokers and controllers as they registered. Registrations are never changed once made: a change makes another one.
import { assert, type Uuid } from "../../base/index.ts";
import type {
  BrokerRegistrationChangeRecord,
  RegisterBrokerRecord,
  RegisterControllerRecord,
} from "../../protocol/index.ts";
import type { MetadataDelta } from "./metadata-delta.ts";
import { directoryLost, directoryMigrating, directoryUnassigned } from "./partition-image.ts";

/** Kafka's numbers of the security protocols. */
export const securityProtocolCode = { PLAINTEXT: 0, SSL: 1, SASL_PLAINTEXT: 2, SASL_SSL: 3 } as const;

export interface RegisteredEndpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly securityProtocol: number;
}

export interface SupportedRange {
  readonly minVersion: number;
  readonly maxVersion: number;
}

export interface BrokerRegistration {
  readonly id: number;
  /** The offset of its registration record: later registrations of the same broker have larger ones. */
  readonly epoch: number;
  readonly incarnationId: Uuid;
  /** By listener name, in the order of registration. */
  readonly endpoints: ReadonlyMap<string, RegisteredEndpoint>;
  readonly supportedFeatures: ReadonlyMap<string, SupportedRange>;
  readonly rack: string | null;
  readonly fenced: boolean;
  readonly inControlledShutdown: boolean;
  readonly isMigratingZkBroker: boolean;
  /** Sorted, as Kafka keeps them. */
  readonly directories: readonly Uuid[];
  /** Directories that get no new replicas (KIP-1066); null where the record could not say. */
  readonly cordonedDirectories: readonly Uuid[] | null;
}

export interface ControllerRegistration {
  readonly id: number;
  readonly incarnationId: Uuid;
  readonly zkMigrationReady: boolean;
  readonly endpoints: ReadonlyMap<string, RegisteredEndpoint>;
  readonly supportedFeatures: ReadonlyMap<string, SupportedRange>;
}

/** Fences, in BrokerRegistrationChange: 1 fences, -1 lifts the fence, 0 leaves it. */
const registrationChange = { on: 1, off: -1 } as const;

export class ClusterImage {
  readonly brokers = new Map<number, BrokerRegistration>();
  readonly controllers = new Map<number, ControllerRegistration>();

  broker(id: number): BrokerRegistration | undefined {
    return this.brokers.get(id);
  }

  /** Registered and not fenced: it takes part. */
  isUnfenced(id: number): boolean {
    return this.brokers.get(id)?.fenced === false;
  }

  /** May lead: neither fenced nor about to leave. */
  isActive(id: number): boolean {
    const broker = this.brokers.get(id);
    return broker !== undefined && !broker.fenced && !broker.inControlledShutdown;
  }

  /** Null, and a directory that is not known yet, are taken for good: the broker will say otherwise. */
  isDirectoryOnline(id: number, directory: Uuid | null): boolean {
    if (directory === null || directory === directoryUnassigned || directory === directoryMigrating) return true;
    if (directory === directoryLost) return false;
    const directories = this.brokers.get(id)?.directories ?? [];
    return directories.length === 0 || directories.includes(directory);
  }

  copy(): ClusterImage {
    const copy = new ClusterImage();
    for (const [id, broker] of this.brokers) copy.brokers.set(id, broker);
    for (const [id, controller] of this.controllers) copy.controllers.set(id, controller);
    return copy;
  }

  onRegisterBroker(record: RegisterBrokerRecord, delta: MetadataDelta): void {
    this.brokers.set(record.brokerId, {
      id: record.brokerId,
      epoch: Number(record.brokerEpoch),
      incarnationId: record.incarnationId,
      endpoints: endpointsByName(record.endPoints),
      supportedFeatures: rangesByName(record.features),
      rack: record.rack,
      fenced: record.fenced,
      inControlledShutdown: record.inControlledShutdown,
      isMigratingZkBroker: record.isMigratingZkBroker,
      directories: record.logDirs.slice().sort(),
      cordonedDirectories: record.cordonedLogDirs?.slice().sort() ?? null,
    });
    delta.changedBrokers.add(record.brokerId);
  }

  onUnregisterBroker(id: number, epoch: bigint, delta: MetadataDelta): void {
    this.registered(id, epoch, "unregister broker record");
    this.brokers.delete(id);
    delta.changedBrokers.add(id);
  }

  onFence(id: number, epoch: bigint, fenced: boolean, delta: MetadataDelta): void {
    const broker = this.registered(id, epoch, fenced ? "fence broker record" : "unfence broker record");
    this.brokers.set(id, { ...broker, fenced });
    delta.changedBrokers.add(id);
  }

  onBrokerRegistrationChange(record: BrokerRegistrationChangeRecord, delta: MetadataDelta): void {
    const broker = this.registered(record.brokerId, record.brokerEpoch, "broker registration change record");
    this.brokers.set(broker.id, {
      ...broker,
      fenced: changed(broker.fenced, record.fenced),
      inControlledShutdown: changed(broker.inControlledShutdown, record.inControlledShutdown),
      directories: record.logDirs.length > 0 ? record.logDirs.slice().sort() : broker.directories,
      cordonedDirectories: record.cordonedLogDirs?.slice().sort() ?? broker.cordonedDirectories,
    });
    delta.changedBrokers.add(broker.id);
  }

  onRegisterController(record: RegisterControllerRecord, delta: MetadataDelta): void {
    this.controllers.set(record.controllerId, {
      id: record.controllerId,
      incarnationId: record.incarnationId,
      zkMigrationReady: record.zkMigrationReady,
      endpoints: endpointsByName(record.endPoints),
      supportedFeatures: rangesByName(record.features),
    });
    delta.changedControllers.add(record.controllerId);
  }

  private registered(id: number, epoch: bigint, what: string): BrokerRegistration {
    const broker = this.brokers.get(id);
    assert(broker !== undefined, `a ${what} names broker ${id}, which is not registered`);
    assert(
      broker.epoch === Number(epoch),
      `a ${what} names epoch ${epoch} of broker ${id}, whose registration has epoch ${broker.epoch}`,
    );
    return broker;
  }
}

function changed(before: boolean, change: number): boolean {
  if (change === registrationChange.on) return true;
  return change === registrationChange.off ? false : before;
}

function endpointsByName(
  endpoints: readonly { name: string; host: string; port: number; securityProtocol: number }[],
): ReadonlyMap<string, RegisteredEndpoint> {
  return new Map(
    endpoints.map(({ name, host, port, securityProtocol }) => [name, { name, host, port, securityProtocol }]),
  );
}

function rangesByName(
  features: readonly { name: string; minSupportedVersion: number; maxSupportedVersion: number }[],
): ReadonlyMap<string, SupportedRange> {
  return new Map(
    features.map((feature) => [
      feature.name,
      { minVersion: feature.minSupportedVersion, maxVersion: feature.maxSupportedVersion },
    ]),
  );
}
