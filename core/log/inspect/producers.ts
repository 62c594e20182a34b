// The producers of a `.snapshot` file as plain rows.
import { decodeSnapshot } from "../producer-snapshot.ts";

export interface ProducerRow {
  readonly producerId: number;
  readonly epoch: number;
  readonly coordinatorEpoch: number;
  readonly lastTimestamp: number;
  /** -1: none is open. */
  readonly transactionFirstOffset: number;
  /** -1 where only a marker is known. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly lastOffset: number;
}

/** Null where the file is not whole. */
export function decodeProducerSnapshotEntries(bytes: Buffer): ProducerRow[] | null {
  const entries = decodeSnapshot(bytes);
  if (entries === null) return null;
  return entries.map(({ batches, producerId, epoch, coordinatorEpoch, lastTimestamp, transactionFirstOffset }) => {
    const last = batches.at(-1);
    return {
      ...{ producerId, epoch, coordinatorEpoch, lastTimestamp, transactionFirstOffset },
      firstSequence: last?.firstSequence ?? -1,
      lastSequence: last?.lastSequence ?? -1,
      lastOffset: last?.lastOffset ?? -1,
    };
  });
}
