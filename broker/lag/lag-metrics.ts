// Lag on the metrics page, by the names that dashboards for Kafka know (kafka_exporter's, and seconds beside them).
import type { Meter } from "@blumfeld/core/base";
import type { GroupLag, GroupLags } from "./group-lag.ts";

export function registerLagMetrics(meter: Meter, lags: GroupLags): void {
  meter.collect(async (reading) => {
    const offset = reading.gauge("kafka_consumergroup_current_offset", "Offset that the group committed.");
    const lag = reading.gauge("kafka_consumergroup_lag", "Records from the committed offset to the high watermark.");
    const seconds = reading.gauge(
      "kafka_consumergroup_lag_seconds",
      "Age of the next record that the group will read; 0 where none is left.",
    );
    const offsetSum = reading.gauge("kafka_consumergroup_current_offset_sum", "Committed offsets of all partitions.");
    const lagSum = reading.gauge("kafka_consumergroup_lag_sum", "Records behind in all partitions of the topic.");
    const secondsMax = reading.gauge(
      "kafka_consumergroup_max_lag_seconds",
      "Age of the oldest record that the group has still to read.",
    );
    const members = reading.gauge("kafka_consumergroup_members", "Members of the group.");
    const leftOut = reading.gauge(
      "blumfeld_lag_partitions_left_out",
      "Partitions with committed offsets that are beyond the bound of one reading.",
    );
    let leftOutCount = 0;
    const onLeftOut = (count: number): void => {
      leftOutCount += count;
    };
    for await (const group of lags.read(onLeftOut)) {
      const consumergroup = group.groupId;
      members(group.memberCount, { consumergroup });
      for (const { partition, topic, ...one } of group.partitions) {
        const labels = { consumergroup, topic, partition: String(partition) };
        offset(one.offset, labels);
        if (one.records !== null) lag(one.records, labels);
        if (one.seconds !== null) seconds(one.seconds, labels);
      }
      for (const [topic, sum] of sumsOf(group)) {
        offsetSum(sum.offset, { consumergroup, topic });
        if (sum.isKnown) lagSum(sum.records, { consumergroup, topic });
      }
      const known = group.partitions.flatMap((one) => (one.seconds === null ? [] : [one.seconds]));
      if (known.length > 0)
        secondsMax(
          known.reduce((most, one) => Math.max(most, one)),
          { consumergroup },
        );
    }
    leftOut(leftOutCount, {});
  });
}

interface Sum {
  offset: number;
  records: number;
  /** This broker has every partition that was committed. */
  isKnown: boolean;
}

function sumsOf({ partitions }: GroupLag): Map<string, Sum> {
  const sums = new Map<string, Sum>();
  for (const { offset, records, topic } of partitions) {
    let sum = sums.get(topic);
    if (sum === undefined) {
      sum = { offset: 0, records: 0, isKnown: true };
      sums.set(topic, sum);
    }
    sum.offset += offset;
    sum.records += records ?? 0;
    sum.isKnown &&= records !== null;
  }
  return sums;
}
