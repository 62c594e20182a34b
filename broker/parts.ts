// What a broker node is composed of: ports, and the parts that other layers bring. Handlers and shards take what they need from here.
import type { Clock, Disk, Logger, Meter, Network, Random, Timers, Uuid } from "@blumfeld/core/base";
import type { MetadataDelta, MetadataImage } from "@blumfeld/core/controller";
import type { LogManager } from "@blumfeld/core/log";
import type { ApiKey, RequestOf, ResponseInitOf } from "@blumfeld/core/protocol";
import type { TimerWheel } from "@blumfeld/host/process";
import type { BrokerConfig } from "./broker-config.ts";
import type { FetchSessionCache } from "./fetch/fetch-session.ts";
import type { ReadPace } from "./fetch/read-pace.ts";
import type { ResponseBuffers } from "./fetch/response-buffers.ts";
import type { ClusterAccess } from "./metadata/cluster-access.ts";
import type { PartitionManager } from "./partition/partition-manager.ts";
import type { Peers } from "./peers/peers.ts";
import type { Replication } from "./replication/replication.ts";
import type { Authorizer, RequestOrigin } from "./security-seam.ts";

/** The cluster's metadata as this node knows it. */
export interface MetadataSource {
  /** The newest image. It changes in place between turns; its partitions and registrations are immutable and replaced whole. */
  readonly image: MetadataImage;
  /** Told in order, once for each change. Returns a function that forgets the listener. */
  onImage(listener: (delta: MetadataDelta, image: MetadataImage) => void): () => void;
}

/** The way to the active controller: a call in this process, or an envelope to another. */
export interface ControllerChannel {
  /**
   * Resolves with the controller's answer, also where that is an error of the table; rejects with RequestError where there is no
   * active controller before the deadline.
   */
  request<Key extends ApiKey>(
    key: Key,
    request: RequestOf<Key>,
    origin: RequestOrigin & {
      readonly clientId: string | null;
      readonly timeoutMs: number;
      readonly apiKey?: ApiKey;
      readonly apiVersion?: number;
    },
  ): Promise<ResponseInitOf<Key>>;
}

/** What a request costs its client. Zero where no quota is passed; the answer carries it and the connection is muted so long. */
export interface QuotaHook {
  /** After a produce of so many bytes: how long its client must wait, in ms. */
  onProduce(origin: RequestOrigin, clientId: string | null, bytes: number): number;
  /** After a fetch of so many bytes. */
  onFetch(origin: RequestOrigin, clientId: string | null, bytes: number): number;
  /** After any request: the handler's time on the loop. */
  onRequest(origin: RequestOrigin, clientId: string | null, handlerMs: number): number;
}

export const noQuota: QuotaHook = { onProduce: () => 0, onFetch: () => 0, onRequest: () => 0 };

/** Whether a transactional batch may go into a partition (KIP-890). Null: it may, now. */
export interface TransactionVerifier {
  /** An error code to answer with; 0 once verified. Asked before the append of the first batch of a transaction. */
  verify(
    transactionalId: string | null,
    batch: {
      readonly topic: string;
      readonly partition: number;
      readonly producerId: number;
      readonly producerEpoch: number;
    },
    apiVersion: number,
  ): null | Promise<number>;
}

export interface BrokerParts {
  readonly config: BrokerConfig;
  readonly clusterId: string;
  /** One for each start of this process. */
  readonly incarnationId: Uuid;
  readonly metadata: MetadataSource;
  readonly cluster: ClusterAccess;
  readonly logManager: LogManager;
  readonly partitions: PartitionManager;
  readonly controllerChannel: ControllerChannel;
  readonly authorizer: Authorizer;
  readonly quotas: QuotaHook;
  readonly transactionVerifier: TransactionVerifier | null;
  /** The ways to other brokers. Null for a broker that stands alone. */
  readonly peers: Peers | null;
  readonly replication: Replication | null;
  readonly fetchSessions: FetchSessionCache;
  readonly responseBuffers: ResponseBuffers;
  readonly readPace: ReadPace;
  /** Deadlines of requests that wait. */
  readonly requestWheel: TimerWheel;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly network: Network;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly meter: Meter;
}
