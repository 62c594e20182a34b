// The share state coordinator (KIP-932's persister): one shard for one partition of `__share_group_state`, which keeps what became of each share
// partition's records. A snapshot holds all of it, updates what changed since; after so many updates the next write is a snapshot.
import type { Uuid } from "../../base/index.ts";
import { ErrorCode, type ShareCoordinatorRecord, shareCoordinatorRecords } from "../../protocol/index.ts";
import { type Decision, type EncodedRecord, type Shard, type UndoLog, UndoMap } from "../runtime/index.ts";
import { combinedBatches, type StateBatch } from "./state-batches.ts";

export interface ShareKey {
  readonly groupId: string;
  readonly topicId: Uuid;
  readonly partition: number;
}

/** By this the owning partition of `__share_group_state` is found, as FindCoordinator names it. */
export function shareKeyText({ groupId, topicId, partition }: ShareKey): string {
  return `${groupId}:${topicId}:${partition}`;
}

export interface ShareState {
  readonly snapshotEpoch: number;
  readonly stateEpoch: number;
  readonly leaderEpoch: number;
  /** -1: nobody has consumed from here so far. */
  readonly startOffset: number;
  /** Records from the start offset on that are acknowledged or archived; -1 where a writer did not say. */
  readonly deliveryCompleteCount: number;
  readonly createTimestampMs: number;
  readonly batches: readonly StateBatch[];
  readonly updateCount: number;
}

export interface ShareWrite {
  readonly stateEpoch: number;
  readonly leaderEpoch: number;
  /** -1: as it is. */
  readonly startOffset: number;
  readonly deliveryCompleteCount: number;
  readonly stateBatches: readonly StateBatch[];
}

export interface ShareOutcome {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

export interface ShareRead extends ShareOutcome {
  readonly state: ShareState | null;
}

export interface ShareStateConfig {
  readonly updateRecordsPerSnapshot: number;
}

export type ShareStateDecision<Answer> = Decision<Answer, ShareCoordinatorRecord>;

const valueVersion = 0;
const done: ShareOutcome = { errorCode: ErrorCode.NONE, errorMessage: null };

function refusal(errorCode: number, errorMessage: string): ShareStateDecision<ShareOutcome> {
  return { records: [], answer: { errorCode, errorMessage } };
}

export class ShareStateShard implements Shard<ShareCoordinatorRecord, never> {
  private readonly config: ShareStateConfig;
  private readonly states: UndoMap<string, { readonly key: ShareKey; readonly state: ShareState }>;

  constructor(ports: { readonly undo: UndoLog; readonly config: ShareStateConfig }) {
    this.config = ports.config;
    this.states = new UndoMap(ports.undo);
  }

  get size(): number {
    return this.states.size;
  }

  stateOf(key: ShareKey): ShareState | null {
    return this.states.get(shareKeyText(key))?.state ?? null;
  }

  // --- requests --------------------------------------------------------------------------------

  initialize(
    key: ShareKey,
    { stateEpoch, startOffset }: { readonly stateEpoch: number; readonly startOffset: number },
    nowMs: number,
  ): ShareStateDecision<ShareOutcome> {
    const state = this.stateOf(key);
    if (state !== null && state.stateEpoch > stateEpoch)
      return refusal(ErrorCode.FENCED_STATE_EPOCH, "The share coordinator has a newer state epoch.");
    const snapshot = {
      snapshotEpoch: state === null ? 0 : state.snapshotEpoch + 1,
      stateEpoch,
      leaderEpoch: 0,
      startOffset,
      // From an offset that is set nothing is finished yet; where the start is still to be found, neither is that known.
      deliveryCompleteCount: startOffset < 0 ? -1 : 0,
      createTimestampMs: nowMs,
      batches: [],
      updateCount: 0,
    };
    return { records: [snapshotRecord(key, snapshot, nowMs)], answer: done };
  }

  /** Who reads becomes the partition's leader here: an older leader's writes are refused from now on. */
  read(key: ShareKey, leaderEpoch: number, nowMs: number): ShareStateDecision<ShareRead> {
    const state = this.stateOf(key);
    const refused = (errorCode: number, errorMessage: string): ShareStateDecision<ShareRead> => ({
      records: [],
      answer: { errorCode, errorMessage, state: null },
    });
    if (state === null)
      return refused(ErrorCode.INVALID_REQUEST, "Read operation on uninitialized share partition not allowed.");
    if (leaderEpoch >= 0 && state.leaderEpoch > leaderEpoch)
      return refused(ErrorCode.FENCED_LEADER_EPOCH, "The leader epoch is older than the one known.");
    const answer = { ...done, state };
    if (leaderEpoch <= state.leaderEpoch) return { records: [], answer };
    const write = { ...state, leaderEpoch, startOffset: -1, stateBatches: [] };
    return { records: [this.writeRecord(key, state, write, nowMs)], answer };
  }

  write(key: ShareKey, write: ShareWrite, nowMs: number): ShareStateDecision<ShareOutcome> {
    const state = this.stateOf(key);
    if (state === null)
      return refusal(ErrorCode.INVALID_REQUEST, "Write operation on uninitialized share partition not allowed.");
    if (write.leaderEpoch >= 0 && state.leaderEpoch > write.leaderEpoch)
      return refusal(ErrorCode.FENCED_LEADER_EPOCH, "The leader epoch is older than the one known.");
    if (write.stateEpoch >= 0 && state.stateEpoch > write.stateEpoch)
      return refusal(ErrorCode.FENCED_STATE_EPOCH, "The share coordinator has a newer state epoch.");
    return { records: [this.writeRecord(key, state, write, nowMs)], answer: done };
  }

  delete(key: ShareKey): ShareStateDecision<ShareOutcome> {
    if (this.stateOf(key) === null) return { records: [], answer: done };
    return { records: [{ type: "ShareSnapshot", key, valueVersion, value: null }], answer: done };
  }

  /** What is known of partitions of topics that are gone. */
  deleteTopics(topicIds: ReadonlySet<Uuid>): ShareStateDecision<void> {
    const records: ShareCoordinatorRecord[] = [];
    for (const { key } of this.states.values())
      if (topicIds.has(key.topicId)) records.push({ type: "ShareSnapshot", key, valueVersion, value: null });
    return { records, answer: undefined };
  }

  // --- pruning ---------------------------------------------------------------------------------

  /** A snapshot of what is known, so that nothing before it is needed. */
  snapshot(key: ShareKey, nowMs: number): ShareStateDecision<void> {
    const state = this.stateOf(key);
    if (state === null) return { records: [], answer: undefined };
    const { snapshotEpoch } = state;
    return { records: [snapshotRecord(key, { ...state, snapshotEpoch: snapshotEpoch + 1 }, nowMs)], answer: undefined };
  }

  /** Of every share partition: it rises with each snapshot. */
  snapshotEpochs(): Map<string, number> {
    const epochs = new Map<string, number>();
    for (const { key, state } of this.states.values()) epochs.set(shareKeyText(key), state.snapshotEpoch);
    return epochs;
  }

  /** Those that have had no snapshot since the epochs were these. One that was deleted and made anew may be among them in vain. */
  keysWithoutSnapshotSince(epochs: ReadonlyMap<string, number>): ShareKey[] {
    const keys: ShareKey[] = [];
    for (const { key, state } of this.states.values()) {
      const before = epochs.get(shareKeyText(key));
      if (before !== undefined && state.snapshotEpoch <= before) keys.push(key);
    }
    return keys;
  }

  private writeRecord(key: ShareKey, state: ShareState, write: ShareWrite, nowMs: number): ShareCoordinatorRecord {
    const leaderEpoch = Math.max(write.leaderEpoch, state.leaderEpoch);
    const startOffset = write.startOffset === -1 ? state.startOffset : write.startOffset;
    const { deliveryCompleteCount } = write;
    if (state.updateCount < this.config.updateRecordsPerSnapshot) {
      const value = {
        snapshotEpoch: state.snapshotEpoch,
        leaderEpoch,
        startOffset: BigInt(startOffset),
        deliveryCompleteCount,
        stateBatches: write.stateBatches.map(batchInit),
      };
      return { type: "ShareUpdate", key, valueVersion, value };
    }
    const snapshot: ShareState = {
      ...state,
      snapshotEpoch: state.snapshotEpoch + 1,
      stateEpoch: Math.max(write.stateEpoch, state.stateEpoch),
      ...{ leaderEpoch, startOffset, deliveryCompleteCount },
      batches: combinedBatches(state.batches, write.stateBatches, startOffset),
    };
    return snapshotRecord(key, snapshot, nowMs);
  }

  // --- the runtime's side ----------------------------------------------------------------------

  encode(record: ShareCoordinatorRecord): EncodedRecord {
    return shareCoordinatorRecords.encode(record);
  }

  decode(key: Buffer, value: Buffer | null): ShareCoordinatorRecord | null {
    return shareCoordinatorRecords.decode(key, value);
  }

  replay(record: ShareCoordinatorRecord): void {
    const { groupId, topicId, partition } = record.key;
    const key = { groupId, topicId, partition };
    const text = shareKeyText(key);
    if (record.value === null) {
      this.states.delete(text);
      return;
    }
    const { value } = record;
    const batches = value.stateBatches.map(batchOf);
    const startOffset = Number(value.startOffset);
    if (record.type === "ShareSnapshot") {
      const { snapshotEpoch, stateEpoch, leaderEpoch, deliveryCompleteCount, createTimestamp } = record.value!;
      const createTimestampMs = Number(createTimestamp);
      const epochs = { snapshotEpoch, stateEpoch, leaderEpoch };
      const state = { ...epochs, startOffset, deliveryCompleteCount, createTimestampMs, batches, updateCount: 0 };
      this.states.set(text, { key, state });
      return;
    }
    const before = this.states.get(text)?.state;
    // An update of a snapshot that was cut away with the log's start, or is superseded.
    if (before === undefined || value.snapshotEpoch < before.snapshotEpoch) return;
    const start = startOffset === -1 ? before.startOffset : startOffset;
    const state = {
      ...before,
      leaderEpoch: value.leaderEpoch === -1 ? before.leaderEpoch : value.leaderEpoch,
      startOffset: start,
      deliveryCompleteCount: value.deliveryCompleteCount,
      batches: combinedBatches(before.batches, batches, start),
      updateCount: before.updateCount + 1,
    };
    this.states.set(text, { key, state });
  }

  replayTransactionEnd(): void {}

  onLoaded(): void {}

  onUnloaded(): void {}

  onTimer(): ShareStateDecision<void> {
    return { records: [], answer: undefined };
  }
}

function snapshotRecord(key: ShareKey, state: ShareState, nowMs: number): ShareCoordinatorRecord {
  const { snapshotEpoch, stateEpoch, leaderEpoch, startOffset, deliveryCompleteCount, createTimestampMs } = state;
  const value = {
    ...{ snapshotEpoch, stateEpoch, leaderEpoch, startOffset: BigInt(startOffset), deliveryCompleteCount },
    createTimestamp: BigInt(createTimestampMs),
    writeTimestamp: BigInt(nowMs),
    stateBatches: state.batches.map(batchInit),
  };
  return { type: "ShareSnapshot", key, valueVersion, value };
}

interface WireBatch {
  firstOffset: bigint;
  lastOffset: bigint;
  deliveryState: number;
  deliveryCount: number;
}

function batchInit({ firstOffset, lastOffset, deliveryState, deliveryCount }: StateBatch): WireBatch {
  return { firstOffset: BigInt(firstOffset), lastOffset: BigInt(lastOffset), deliveryState, deliveryCount };
}

/** A batch of the wire or of a record, in numbers. */
export function batchOf({ firstOffset, lastOffset, deliveryState, deliveryCount }: Readonly<WireBatch>): StateBatch {
  return { firstOffset: Number(firstOffset), lastOffset: Number(lastOffset), deliveryState, deliveryCount };
}
