// What a node of the quorum is started with: the ports, the settings, and how it reaches the others.
import type { Clock, Disk, Logger, Random, Timers, Uuid } from "../base/index.ts";
import type { BrokerSettings } from "../model/settings/index.ts";
import type { ApiKey, RequestInitOf, ResponseOf } from "../protocol/index.ts";
import type { QuorumListener, SnapshotSource, Voter, VoterEndpoint } from "./metadata-quorum.ts";
import type { QuorumLog } from "./quorum-log.ts";
import type { SnapshotLimits } from "./snapshot-keeper.ts";

/** Where another node is reached. */
export interface QuorumAddress {
  /** Below 0 where only the address is known, as of a bootstrap server. */
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

/**
 * Asks another node; resolves in the turn its answer arrived, with buffers that die with that turn. Rejects when there is none; an error
 * whose `kind` is "unsupported-version" says that the node does not know such a request.
 */
export type QuorumSend = <Key extends ApiKey>(
  to: QuorumAddress,
  key: Key,
  request: RequestInitOf<Key>,
  timeoutMs: number,
) => Promise<ResponseOf<Key>>;

/** controller.quorum.*, by their names there. */
export interface QuorumSettings {
  readonly electionTimeoutMs: number;
  readonly fetchTimeoutMs: number;
  readonly electionBackoffMsMax: number;
  readonly requestTimeoutMs: number;
  readonly retryBackoffMs: number;
  readonly fetchBytesMax: number;
  readonly fetchSnapshotBytesMax: number;
  readonly autoJoin: boolean;
}

export const quorumSettingsDefault: QuorumSettings = {
  electionTimeoutMs: 1000,
  fetchTimeoutMs: 2000,
  electionBackoffMsMax: 1000,
  requestTimeoutMs: 2000,
  retryBackoffMs: 20,
  fetchBytesMax: 1024 * 1024,
  fetchSnapshotBytesMax: 1024 * 1024,
  autoJoin: false,
};

export interface QuorumOptions {
  readonly nodeId: number;
  /** Of the directory that holds the metadata log. */
  readonly directoryId: Uuid;
  /** Null where the caller checks it itself. */
  readonly clusterId?: string | null;
  /** Has the controller's role: may be a voter. Default true. */
  readonly isController?: boolean;
  /** controller.quorum.voters; null where it is not set, as in dynamic quorums. */
  readonly staticVoters: readonly Voter[] | null;
  /** controller.quorum.bootstrap.servers. */
  readonly bootstrapServers?: readonly QuorumAddress[];
  /** Where this node is reached now; the voters of a dynamic quorum follow it. Null leaves them as they are. */
  readonly endpoints?: readonly VoterEndpoint[] | null;
  /** Of the listener that voters talk over (the first of controller.listener.names). Default: a voter's first. */
  readonly listenerName?: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly log: QuorumLog;
  readonly limits: SnapshotLimits;
  readonly settings?: QuorumSettings;
  readonly listeners: readonly QuorumListener[];
  /** The committed state, for a snapshot. */
  readonly snapshotSource: SnapshotSource;
  /** Null: a node alone, which can only be a quorum by itself. */
  readonly send?: QuorumSend | null;
  /** A node that was asked is of another cluster; it is asked again all the same. */
  readonly onForeignCluster?: () => void;
  /** The log or its disk failed: this node cannot be part of the quorum any more. */
  readonly onFailure: (error: unknown) => void;
}

/** As the node's configuration has them. */
export function quorumSettingsOf(settings: BrokerSettings): QuorumSettings {
  return {
    electionTimeoutMs: settings.get("controller.quorum.election.timeout.ms"),
    fetchTimeoutMs: settings.get("controller.quorum.fetch.timeout.ms"),
    electionBackoffMsMax: settings.get("controller.quorum.election.backoff.max.ms"),
    requestTimeoutMs: settings.get("controller.quorum.request.timeout.ms"),
    retryBackoffMs: settings.get("controller.quorum.retry.backoff.ms"),
    fetchBytesMax: settings.get("controller.quorum.fetch.max.bytes"),
    fetchSnapshotBytesMax: settings.get("controller.quorum.fetch.snapshot.max.bytes"),
    autoJoin: settings.get("controller.quorum.auto.join.enable"),
  };
}
