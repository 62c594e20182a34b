// What Kafka's clients saw in a data directory just before its broker was stopped (../shared/protocol/data-dirs/*.expected.json).
import { readFileSync } from "node:fs";
import { sharedPath } from "../shared.ts";

export interface ExpectedRecord {
  readonly offset: string;
  readonly timestamp: string;
  readonly timestampType: "CreateTime" | "LogAppendTime";
  readonly leaderEpoch: number;
  readonly key: string | null;
  readonly value: string | null | { readonly length: number; readonly sha256: string };
  readonly headers: readonly (readonly [string, string | null])[];
}

export interface ExpectedPartition {
  readonly partition: number;
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly logStartOffset: string;
  readonly highWatermark: string;
  readonly lastStableOffset: string;
  readonly maxTimestamp: string;
  readonly maxTimestampOffset: string;
  readonly latestOffsetLeaderEpoch: number;
  readonly producers: readonly {
    readonly producerId: string;
    readonly epoch: number;
    readonly lastSequence: number;
    readonly lastTimestamp: string;
    readonly coordinatorEpoch: number;
    readonly currentTransactionStartOffset: string;
  }[];
  /** Left out for internal topics. */
  readonly records?: readonly ExpectedRecord[];
  readonly readCommittedOffsets?: readonly string[];
}

export interface ExpectedTopic {
  readonly topicId: string;
  readonly internal: boolean;
  readonly dynamicConfigs: Readonly<Record<string, string>>;
  readonly partitions: readonly ExpectedPartition[];
}

type Configs = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Expected {
  readonly clusterId: string;
  readonly features: Readonly<Record<string, number>>;
  readonly topics: Readonly<Record<string, ExpectedTopic>>;
  readonly brokerConfigs: Configs;
  readonly groupConfigs: Configs;
  readonly clientMetricsConfigs: Configs;
  readonly quotas: readonly {
    readonly entity: Readonly<Record<string, string | null>>;
    readonly values: Readonly<Record<string, number>>;
  }[];
  readonly scramUsers: Readonly<Record<string, readonly string[]>>;
}

export function readExpected(archive: string): Expected {
  const text = readFileSync(sharedPath(`protocol/data-dirs/${archive}.expected.json`), "utf8");
  return (JSON.parse(text) as { clients: Expected }).clients;
}
