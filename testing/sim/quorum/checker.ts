// What must hold in a quorum whatever happens, looked at after every event: one leader an epoch; epochs and high watermarks never go back;
// the same offset of the same epoch is the same batch everywhere; what one node has seen committed every node sees, at that offset, and every
// later leader has it; what was acknowledged stays.
import type { MetadataRecord } from "@blumfeld/core/protocol";
import type { CommittedBatch, SnapshotId } from "@blumfeld/core/quorum";
import { InvariantBroken } from "../world.ts";

function broken(what: string): never {
  throw new InvariantBroken(what);
}

interface CommittedRecord {
  readonly epoch: number;
  readonly text: string;
}

/** Between them, states are made by replay. */
const statesEvery = 64;

export class QuorumChecker {
  readonly leaders = new Map<number, number>();
  /** By offset; control records have no text. */
  private readonly committed = new Map<number, CommittedRecord>();
  private readonly batches = new Map<number, Map<number, number>>();
  private readonly states: { readonly offset: number; readonly state: ReadonlyMap<string, string> }[] = [
    { offset: 0, state: new Map() },
  ];
  /** All before it has been committed, as far as any node has told. */
  committedEnd = 0;
  acknowledgedEnd = 0;
  acknowledgedCount = 0;

  onRole(nodeId: number, epoch: number, isLeader: boolean): void {
    if (!isLeader) return;
    const known = this.leaders.get(epoch);
    if (known !== undefined && known !== nodeId) broken(`nodes ${known} and ${nodeId} both lead epoch ${epoch}`);
    this.leaders.set(epoch, nodeId);
  }

  /** A node has appended, as leader or as follower. */
  onAppend(nodeId: number, baseOffset: number, epoch: number, crc: number): void {
    let byEpoch = this.batches.get(baseOffset);
    if (byEpoch === undefined) {
      byEpoch = new Map();
      this.batches.set(baseOffset, byEpoch);
    }
    const known = byEpoch.get(epoch);
    if (known !== undefined && known !== crc) {
      broken(`node ${nodeId} has another batch at offset ${baseOffset} of epoch ${epoch} than a node before it`);
    }
    byEpoch.set(epoch, crc);
  }

  onCommit(nodeId: number, batches: readonly CommittedBatch[]): void {
    for (const { baseOffset, epoch, lastOffset, records } of batches) {
      records.forEach((record, index) => {
        this.onRecord(nodeId, baseOffset + index, { epoch, text: textOf(record) });
      });
      this.committedEnd = Math.max(this.committedEnd, lastOffset + 1);
    }
  }

  private onRecord(nodeId: number, offset: number, record: CommittedRecord): void {
    const known = this.committed.get(offset);
    if (known === undefined) this.committed.set(offset, record);
    else if (known.epoch !== record.epoch || known.text !== record.text) {
      broken(
        `node ${nodeId} has committed ${record.text} (epoch ${record.epoch}) at offset ${offset}, where ${known.text} (epoch ${known.epoch}) was committed`,
      );
    }
  }

  /** The high watermark of any node. */
  onHighWatermark(highWatermark: number): void {
    this.committedEnd = Math.max(this.committedEnd, highWatermark);
  }

  onAcknowledged(firstOffset: number, texts: readonly string[]): void {
    texts.forEach((text, index) => {
      const known = this.committed.get(firstOffset + index);
      if (known === undefined) broken(`offset ${firstOffset + index} was acknowledged, and no node has it committed`);
      if (known.text !== text)
        broken(`offset ${firstOffset + index} was acknowledged as ${text}, and ${known.text} is committed there`);
    });
    this.acknowledgedEnd = Math.max(this.acknowledgedEnd, firstOffset + texts.length);
    this.acknowledgedCount += texts.length;
  }

  /** The state that all records before `offset` make. */
  stateAt(offset: number): ReadonlyMap<string, string> {
    const base = this.states.findLast((each) => each.offset <= offset)!;
    const state = new Map(base.state);
    for (let at = base.offset; at < offset; at++) {
      const record = this.committed.get(at);
      if (record !== undefined) apply(state, record.text);
    }
    if (offset - base.offset >= statesEvery && base === this.states.at(-1) && offset <= this.committedEnd) {
      this.states.push({ offset, state });
    }
    return state;
  }

  onSnapshot(nodeId: number, id: SnapshotId, texts: readonly string[]): Map<string, string> {
    const state = new Map<string, string>();
    for (const text of texts) apply(state, text);
    if (id.endOffset > this.committedEnd) broken(`node ${nodeId} has a snapshot of more than is committed`);
    if (id.endOffset > 0) this.sameState(nodeId, id.endOffset, state);
    return state;
  }

  sameState(nodeId: number, offset: number, state: ReadonlyMap<string, string>): void {
    const expected = this.stateAt(offset);
    const isSame = expected.size === state.size && [...expected].every(([key, value]) => state.get(key) === value);
    if (!isSame) broken(`node ${nodeId} has another state at offset ${offset} than the log makes`);
  }

  /** Leader completeness: a leader has all that was committed before its epoch, in the epochs that it was committed in. */
  onNewLeader(
    nodeId: number,
    epoch: number,
    logEnd: number,
    epochAt: (offset: number) => number,
    logStart: number,
  ): void {
    // One that was elected before, and hears of it now, has missed what later epochs committed.
    for (const other of this.leaders.keys()) if (other > epoch) return;
    if (logEnd < this.committedEnd) {
      broken(`node ${nodeId} leads with a log up to ${logEnd}; all before ${this.committedEnd} is committed`);
    }
    for (let offset = this.committedEnd - 1; offset >= Math.max(logStart, this.committedEnd - statesEvery); offset--) {
      const known = this.committed.get(offset);
      if (known !== undefined && epochAt(offset) !== known.epoch) {
        broken(
          `node ${nodeId} leads with epoch ${epochAt(offset)} at offset ${offset}, which epoch ${known.epoch} committed`,
        );
      }
    }
  }
}

export function textOf(record: MetadataRecord): string {
  return record.type === "ConfigRecord" ? `${record.value.name}=${record.value.value}` : record.type;
}

export function apply(state: Map<string, string>, text: string): void {
  const at = text.indexOf("=");
  if (at > 0) state.set(text.slice(0, at), text.slice(at + 1));
}
