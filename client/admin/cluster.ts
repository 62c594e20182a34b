// The cluster itself: nodes, quorum, features, log directories.
import type { Uuid } from "@blumfeld/core/base";
import { numberFromInt64 } from "@blumfeld/core/model";
import { ApiKey } from "@blumfeld/core/protocol";
import { KafkaError } from "../errors.ts";
import { type AdminCalls, type CallOptions, type ItemResult, itemError, throwCode } from "./calls.ts";
import { serverTimeoutMs } from "./topics.ts";

export interface NodeDescription {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
  /** Null where the broker does not tell (before 4.0). */
  readonly isFenced: boolean | null;
}

export interface ClusterDescription {
  readonly clusterId: string;
  /** The broker to send controller requests to; with KRaft not the active controller itself. -1: none. */
  readonly controllerId: number;
  readonly nodes: readonly NodeDescription[];
}

export interface QuorumReplica {
  readonly replicaId: number;
  readonly directoryId: Uuid;
  readonly logEndOffset: number;
  /** Milliseconds since 1970; -1 where not told. */
  readonly lastFetchMs: number;
  readonly lastCaughtUpMs: number;
}

export interface QuorumDescription {
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly highWatermark: number;
  readonly voters: readonly QuorumReplica[];
  readonly observers: readonly QuorumReplica[];
  readonly nodes: readonly {
    readonly nodeId: number;
    readonly listeners: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  }[];
}

export interface FeatureDescription {
  readonly name: string;
  /** What every broker can do; null where the feature is finalized and this broker does not know it. */
  readonly supported: { readonly min: number; readonly max: number } | null;
  /** The level in force; 0: off. */
  readonly finalized: number;
}

export interface FeaturesDescription {
  readonly epoch: number;
  readonly features: readonly FeatureDescription[];
}

export interface FeatureUpdate {
  readonly feature: string;
  /** 0 turns the feature off. */
  readonly level: number;
  /** Default "upgrade". */
  readonly upgradeType?: "upgrade" | "safe-downgrade" | "unsafe-downgrade";
}

export interface LogDirDescription extends ItemResult {
  readonly brokerId: number;
  readonly path: string;
  /** Of the volume; null where not told. */
  readonly totalBytes: number | null;
  readonly usableBytes: number | null;
  readonly replicas: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly sizeBytes: number;
    readonly offsetLag: number;
    /** Being moved here from another directory. */
    readonly isFuture: boolean;
  }[];
}

const upgradeTypes = { upgrade: 1, "safe-downgrade": 2, "unsafe-downgrade": 3 } as const;
const clusterMetadataTopic = "__cluster_metadata";

/** What no number holds exactly reads as -1: none of these has such a value. */
function toNumber(value: bigint): number {
  return numberFromInt64(value) ?? -1;
}

export async function describeCluster(
  calls: AdminCalls,
  options: CallOptions & { readonly includeFencedBrokers?: boolean },
): Promise<ClusterDescription> {
  const wantsFenced = options.includeFencedBrokers ?? false;
  const answer = await calls.any(
    ApiKey.DescribeCluster,
    {
      includeClusterAuthorizedOperations: false,
      ...(wantsFenced ? { includeFencedBrokers: true } : {}),
    },
    options,
    (all) => throwCode(all.errorCode, "DescribeCluster", all.errorMessage),
  );
  return {
    clusterId: answer.clusterId,
    controllerId: answer.controllerId,
    nodes: answer.brokers
      .map(({ brokerId, host, port, rack, isFenced }) => ({
        nodeId: brokerId,
        host,
        port,
        rack,
        isFenced: wantsFenced ? isFenced : null,
      }))
      .sort((one, other) => one.nodeId - other.nodeId),
  };
}

export async function describeQuorum(calls: AdminCalls, options: CallOptions): Promise<QuorumDescription> {
  const body = { topics: [{ topicName: clusterMetadataTopic, partitions: [{ partitionIndex: 0 }] }] };
  const answer = await calls.any(ApiKey.DescribeQuorum, body, options, (all) => {
    throwCode(all.errorCode, "DescribeQuorum", all.errorMessage);
    const partition = all.topics[0]?.partitions[0];
    throwCode(partition?.errorCode ?? -1, "DescribeQuorum", partition?.errorMessage);
  });
  const partition = answer.topics[0]!.partitions[0]!;
  const replicas = (states: typeof partition.currentVoters): QuorumReplica[] =>
    states.map((state) => ({
      replicaId: state.replicaId,
      directoryId: state.replicaDirectoryId,
      logEndOffset: toNumber(state.logEndOffset),
      lastFetchMs: toNumber(state.lastFetchTimestamp),
      lastCaughtUpMs: toNumber(state.lastCaughtUpTimestamp),
    }));
  return {
    leaderId: partition.leaderId,
    leaderEpoch: partition.leaderEpoch,
    highWatermark: toNumber(partition.highWatermark),
    voters: replicas(partition.currentVoters),
    observers: replicas(partition.observers),
    nodes: answer.nodes,
  };
}

export async function describeFeatures(calls: AdminCalls, options: CallOptions): Promise<FeaturesDescription> {
  const body = { clientSoftwareName: "blumfeld", clientSoftwareVersion: calls.cluster.context.softwareVersion };
  const answer = await calls.any(ApiKey.ApiVersions, body, options, (all) => throwCode(all.errorCode, "ApiVersions"));
  const levels = new Map(answer.finalizedFeatures.map(({ name, maxVersionLevel }) => [name, maxVersionLevel]));
  const supported = new Map(
    answer.supportedFeatures.map(({ name, minVersion, maxVersion }) => [name, { min: minVersion, max: maxVersion }]),
  );
  const names = [...new Set([...levels.keys(), ...supported.keys()])].sort();
  return {
    epoch: toNumber(answer.finalizedFeaturesEpoch),
    features: names.map((name) => ({
      name,
      supported: supported.get(name) ?? null,
      finalized: levels.get(name) ?? 0,
    })),
  };
}

/** All or nothing: rejects with the first feature that is refused. */
export async function updateFeatures(
  calls: AdminCalls,
  updates: readonly FeatureUpdate[],
  options: CallOptions & { readonly validateOnly?: boolean },
): Promise<void> {
  const body = {
    timeoutMs: serverTimeoutMs(calls, options),
    featureUpdates: updates.map(({ feature, level, upgradeType }) => ({
      feature,
      maxVersionLevel: level,
      upgradeType: upgradeTypes[upgradeType ?? "upgrade"],
    })),
    validateOnly: options.validateOnly ?? false,
  };
  await calls.controller(ApiKey.UpdateFeatures, body, options, (all) => {
    throwCode(all.errorCode, "UpdateFeatures", all.errorMessage);
    for (const result of all.results) throwCode(result.errorCode, `feature ${result.feature}`, result.errorMessage);
  });
}

/** Of the given brokers, or of all. A broker that cannot be reached gives one entry with its error. */
export async function describeLogDirs(
  calls: AdminCalls,
  brokerIds: readonly number[] | null,
  options: CallOptions,
): Promise<LogDirDescription[]> {
  const ids = brokerIds ?? (await calls.brokerIds());
  await calls.brokerIds();
  const described = await Promise.all(
    ids.map(async (brokerId): Promise<LogDirDescription[]> => {
      try {
        const answer = await calls.broker(brokerId, ApiKey.DescribeLogDirs, { topics: null }, options, (all) =>
          throwCode(all.errorCode, `log directories of broker ${brokerId}`),
        );
        return answer.results.map((dir) => ({
          brokerId,
          path: dir.logDir,
          totalBytes: dir.totalBytes < 0n ? null : Number(dir.totalBytes),
          usableBytes: dir.usableBytes < 0n ? null : Number(dir.usableBytes),
          error: itemError(dir.errorCode, `${dir.logDir} of broker ${brokerId}`),
          replicas: dir.topics.flatMap((topic) =>
            topic.partitions.map((partition) => ({
              topic: topic.name,
              partition: partition.partitionIndex,
              sizeBytes: toNumber(partition.partitionSize),
              offsetLag: toNumber(partition.offsetLag),
              isFuture: partition.isFutureKey,
            })),
          ),
        }));
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        return [{ brokerId, path: "", totalBytes: null, usableBytes: null, replicas: [], error }];
      }
    }),
  );
  return described.flat();
}
