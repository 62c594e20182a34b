// What Kafka's ReplicaManager and its fetchers tell under their names, in the form that Prometheus' exporter of Kafka gives them.
import type { Meter } from "@blumfeld/core/base";
import type { Partition } from "../partition/partition.ts";
import type { PartitionManager } from "../partition/partition-manager.ts";
import type { Replication } from "./replication.ts";

export function registerReplicationMetrics(meter: Meter, partitions: PartitionManager, replication: Replication): void {
  const count = (isCounted: (partition: Partition) => boolean) => (): number => {
    let counted = 0;
    for (const partition of partitions.all()) if (isCounted(partition)) counted++;
    return counted;
  };
  const led = (isCounted: (partition: Partition) => boolean) =>
    count((partition) => partition.isLeader && isCounted(partition));
  meter.gauge(
    "kafka_server_replicamanager_partitioncount",
    "Partitions that have a replica here.",
    count(() => true),
  );
  meter.gauge(
    "kafka_server_replicamanager_leadercount",
    "Partitions that this broker leads.",
    led(() => true),
  );
  meter.gauge(
    "kafka_server_replicamanager_offlinereplicacount",
    "Replicas whose log directory is offline.",
    count(({ log }) => log === null),
  );
  meter.gauge(
    "kafka_server_replicamanager_underreplicatedpartitions",
    "Partitions led here with replicas out of sync.",
    led(({ isr, replicas }) => isr.length < replicas.length),
  );
  meter.gauge(
    "kafka_server_replicamanager_underminisrpartitioncount",
    "Partitions led here with fewer replicas in sync than min.insync.replicas.",
    led((partition) => partition.isBelowMinIsr),
  );
  meter.gauge(
    "kafka_server_replicamanager_atminisrpartitioncount",
    "Partitions led here with exactly min.insync.replicas in sync.",
    led((partition) => partition.isr.length === partition.minInsyncReplicas),
  );
  const { isrChanges } = replication;
  meter.gauge(
    "kafka_server_replicamanager_isrshrinks_total",
    "Changes that took replicas out of sync.",
    () => isrChanges.shrinkCount,
  );
  meter.gauge(
    "kafka_server_replicamanager_isrexpands_total",
    "Changes that took replicas in.",
    () => isrChanges.expandCount,
  );
  meter.gauge(
    "kafka_server_replicamanager_failedisrupdates_total",
    "Changes of in-sync replicas that were not granted.",
    () => isrChanges.failedCount,
  );
  meter.gauge("kafka_server_replicafetchermanager_maxlag", "Records that the furthest follower here is behind.", () => {
    let lag = 0;
    for (const { lagOffsets } of replication.followed()) lag = Math.max(lag, lagOffsets);
    return lag;
  });
  meter.gauge("kafka_server_replicafetchermanager_failedpartitionscount", "Replicas that stopped following.", () => {
    let failed = 0;
    for (const { position } of replication.followed()) if (position.state === "failed") failed++;
    return failed;
  });
}
