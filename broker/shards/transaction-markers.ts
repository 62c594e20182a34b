// Writes the markers that end a transaction: into data partitions as control batches of their logs, into `__consumer_offsets` through the shard that
// holds the offsets. Partitions that this broker does not lead are answered with their error; who asked asks again.
import type { GroupRecord, GroupShard, GroupTimer, TransactionalWriter } from "@blumfeld/core/coordinator";
import { consumerOffsetsTopic, controlKey, endTxnMarkerValue, RecordBatchBuilder } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts } from "../parts.ts";
import type { ShardHost } from "./shard-host.ts";

export interface Marker extends TransactionalWriter {
  /** Leader epoch of the coordinator's partition: an older coordinator's marker is refused. */
  readonly coordinatorEpoch: number;
  readonly isCommit: boolean;
  /** What the transaction was ended by: from 2 on the marker's epoch is above the data's. */
  readonly transactionVersion: number;
}

type Parts = Pick<BrokerParts, "partitions" | "clock" | "logger">;
type GroupHost = ShardHost<GroupShard, GroupRecord, GroupTimer>;

export class TransactionMarkers {
  private readonly parts: Parts;
  private readonly groups: GroupHost;

  constructor(parts: Parts, groups: GroupHost) {
    this.parts = parts;
    this.groups = groups;
  }

  /** `done` hears 0 once the marker is committed, or why it is not written. */
  write(marker: Marker, topic: string, index: number, done: (errorCode: number) => void): void {
    if (topic === consumerOffsetsTopic) this.writeToOffsets(marker, index, done);
    else this.writeToData(marker, topic, index, done);
  }

  private writeToOffsets(marker: Marker, index: number, done: (errorCode: number) => void): void {
    const shard = this.groups.shardAt(index);
    if (shard === null) return done(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    const { isCommit, producerId, producerEpoch } = marker;
    shard.endTransaction({ producerId, producerEpoch }, marker, isCommit, ({ errorCode }) =>
      done(markerErrorOfShard(errorCode)),
    );
  }

  private writeToData(marker: Marker, topic: string, index: number, done: (errorCode: number) => void): void {
    const partition = this.parts.partitions.get(topic, index);
    const problem = partition === null ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : partition.leaderProblem(-1);
    if (partition === null || problem !== ErrorCode.NONE) return done(problem);
    if (partition.isBelowMinIsr) return done(ErrorCode.NOT_ENOUGH_REPLICAS);
    const nowMs = this.parts.clock.wallMs();
    const { transactionVersion } = marker;
    const outcome = partition.append(markerBatch(marker, nowMs), { origin: "coordinator", nowMs, transactionVersion });
    if (outcome.kind === "refused") {
      this.parts.logger.warn({ partition: partition.name, code: outcome.errorCode }, outcome.message);
      return done(outcome.errorCode);
    }
    partition.wait({ requiredOffset: outcome.lastOffset + 1, needsCommit: true, onAppendDone: done });
  }
}

function markerBatch(marker: Marker, nowMs: number): Buffer {
  const { coordinatorEpoch, isCommit, producerId, producerEpoch } = marker;
  const builder = new RecordBatchBuilder();
  builder.append(nowMs, controlKey(isCommit ? "commit" : "abort"), endTxnMarkerValue(coordinatorEpoch));
  return builder.build({ transactional: true, control: true, producerId, producerEpoch, baseSequence: -1 });
}

/** A shard that loads or has moved is to the sender what a partition is that has moved. */
function markerErrorOfShard(errorCode: number): number {
  switch (errorCode) {
    case ErrorCode.COORDINATOR_NOT_AVAILABLE:
    case ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
    case ErrorCode.NOT_COORDINATOR:
      return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    default:
      return errorCode;
  }
}
