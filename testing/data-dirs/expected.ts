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

export interface ExpectedGroup {
  readonly type: "Classic" | "Consumer" | "Share";
  readonly protocol: string;
  readonly state: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly clientId: string;
    readonly memberEpoch: number;
    readonly assignment: readonly string[];
  }[];
  /** Of classic groups. */
  readonly protocolData?: string;
  /** Of consumer groups. */
  readonly assignor?: string;
  readonly groupEpoch?: number;
  readonly targetAssignmentEpoch?: number;
  readonly offsets: Readonly<Record<string, { offset: string; metadata: string; leaderEpoch: number }>>;
  /** Whether all offsets could be fetched with requireStable. */
  readonly stable: boolean;
}

export interface ExpectedTransaction {
  readonly state: string;
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly timeoutMs: number;
  /** -1 where it has not begun. */
  readonly startTime: string;
  readonly partitions: readonly string[];
}

type Configs = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Expected {
  readonly clusterId: string;
  readonly features: Readonly<Record<string, number>>;
  readonly topics: Readonly<Record<string, ExpectedTopic>>;
  readonly groups: Readonly<Record<string, ExpectedGroup>>;
  readonly transactions: Readonly<Record<string, ExpectedTransaction>>;
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
