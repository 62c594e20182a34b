// DescribeLogDirs v1–5 (KIP-113). Every directory with the partitions in it, or those asked for. v3+ has an error for the whole, v4+ the
// bytes of its file system (KIP-827), v5+ whether the directory takes new replicas (KIP-1066).
import { DiskError } from "@blumfeld/core/base";
import type { PartitionLog } from "@blumfeld/core/log";
import { clusterMetadataTopic } from "@blumfeld/core/model";
import { type ApiKey, type DescribeLogDirsResponseInit, ErrorCode, type RequestOf } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { Handler } from "../request-context.ts";
import { AclOperation, clusterResourceName, ResourceType } from "../security-seam.ts";

type Parts = Pick<BrokerParts, "authorizer" | "logManager" | "disk" | "cluster">;
type Directory = DescribeLogDirsResponseInit["results"][number];

/** Kafka's "the file system does not tell". */
const bytesUnknown = -1;

export function createDescribeLogDirsHandler(parts: Parts): Handler<typeof ApiKey.DescribeLogDirs> {
  return (request, context) => {
    if (!parts.authorizer.authorize(context, AclOperation.Describe, ResourceType.Cluster, clusterResourceName)) {
      return { throttleTimeMs: 0, errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, results: [] };
    }
    const byDirectory = new Map<string, Map<string, PartitionLog[]>>();
    // A replica on its way shows in both directories; there by how much it is behind (KIP-113).
    const lagOf = new Map<PartitionLog, number>();
    for (const { future, lag } of parts.logManager.replicaMoves()) lagOf.set(future, lag);
    for (const log of [...parts.logManager.logs(), ...lagOf.keys()]) {
      const { topic } = log.topicPartition;
      if (topic === clusterMetadataTopic || !isAskedFor(request, log)) continue;
      let topics = byDirectory.get(log.directory);
      if (topics === undefined) {
        topics = new Map();
        byDirectory.set(log.directory, topics);
      }
      const logs = topics.get(topic);
      if (logs === undefined) topics.set(topic, [log]);
      else logs.push(log);
    }
    const results = parts.logManager.directories.map(({ isOffline, path }) =>
      isOffline ? offlineDirectory(path) : describedDirectory(parts, path, byDirectory.get(path) ?? new Map(), lagOf),
    );
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, results };
  };
}

function isAskedFor(request: RequestOf<typeof ApiKey.DescribeLogDirs>, log: PartitionLog): boolean {
  if (request.topics === null) return true;
  const { partition, topic } = log.topicPartition;
  return request.topics.some((asked) => asked.topic === topic && asked.partitions.includes(partition));
}

function offlineDirectory(logDir: string): Directory {
  return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, logDir, topics: [] };
}

function describedDirectory(
  parts: Parts,
  logDir: string,
  byTopic: ReadonlyMap<string, readonly PartitionLog[]>,
  lagOf: ReadonlyMap<PartitionLog, number>,
): Directory {
  const cordoned = parts.cluster.settings.get("cordoned.log.dirs") ?? [];
  return {
    errorCode: ErrorCode.NONE,
    logDir,
    topics: [...byTopic].map(([name, logs]) => ({
      name,
      partitions: logs.map((log) => ({
        partitionIndex: log.topicPartition.partition,
        partitionSize: log.sizeBytes,
        offsetLag: lagOf.get(log) ?? Math.max(log.highWatermark - log.logEndOffset, 0),
        isFutureKey: lagOf.has(log),
      })),
    })),
    totalBytes: bytesOr(() => parts.disk.totalBytes(logDir)),
    usableBytes: bytesOr(() => parts.disk.freeBytes(logDir)),
    isCordoned: cordoned.includes(logDir) || cordoned.includes("*"),
  };
}

function bytesOr(read: () => number): number {
  try {
    return read();
  } catch (error) {
    if (error instanceof DiskError) return bytesUnknown;
    throw error;
  }
}
