// Who votes, at each offset of the log (KIP-853). A set counts from the moment its record is appended, committed or not, and stops counting
// when that record is cut off again; so the sets are kept by offset. With kraft.version 0 the configuration names the voters.
import { type Uuid, uuidZero } from "../base/index.ts";
import type { ControlRecord } from "../protocol/index.ts";
import type { Voter, VoterEndpoint } from "./metadata-quorum.ts";
import type { ReplicaKey } from "./replicated-log.ts";

/** Sets that are remembered behind the committed one; older ones are in no snapshot that can still be written. */
const committedSetCountMax = 64;

export interface VoterSetAt {
  /** Of the record; -1: of a snapshot or the configuration. */
  readonly offset: number;
  readonly kraftVersion: number;
  /** Null while nothing has named any. */
  readonly voters: readonly Voter[] | null;
}

/** A voter without a directory id is known by its id alone. */
export function isVoterKey(voter: Pick<Voter, "directoryId" | "id">, key: ReplicaKey): boolean {
  return voter.id === key.id && (voter.directoryId === null || voter.directoryId === key.directoryId);
}

export function sameEndpoints(one: readonly VoterEndpoint[], other: readonly VoterEndpoint[]): boolean {
  const text = (endpoints: readonly VoterEndpoint[]): string =>
    endpoints
      .map(({ host, name, port }) => `${name}://${host}:${port}`)
      .sort()
      .join();
  return text(one) === text(other);
}

/** How many of `count` voters are more than half. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

export function directoryIdOrZero(directoryId: Uuid | null): Uuid {
  return directoryId ?? uuidZero;
}

export class VoterHistory {
  private readonly staticVoters: readonly Voter[] | null;
  private entries: VoterSetAt[];

  constructor(staticVoters: readonly Voter[] | null) {
    this.staticVoters = staticVoters;
    this.entries = [{ offset: -1, kraftVersion: 0, voters: null }];
  }

  private resolved(entry: VoterSetAt): VoterSetAt {
    return entry.kraftVersion === 0 ? { ...entry, voters: this.staticVoters } : entry;
  }

  /** In force now: the last that was appended. */
  get latest(): VoterSetAt {
    return this.resolved(this.entries.at(-1)!);
  }

  /** In force for what lies before `endOffset`. */
  before(endOffset: number): VoterSetAt {
    return this.resolved(this.entries.findLast(({ offset }) => offset < endOffset) ?? this.entries[0]!);
  }

  /** All that may be in force, where only what lies before `highWatermark` is known to be committed. */
  since(highWatermark: number): readonly VoterSetAt[] {
    const committed = this.entries.findLastIndex(({ offset }) => offset < highWatermark);
    return this.entries.slice(Math.max(committed, 0)).map((entry) => this.resolved(entry));
  }

  /** Whether the log itself names the voters, not a snapshot alone. */
  get isInLog(): boolean {
    return this.entries.at(-1)!.offset >= 0;
  }

  onControl(control: ControlRecord, offset: number): void {
    const last = this.entries.at(-1)!;
    let next: VoterSetAt;
    if (control.type === "KRaftVersion") next = { ...last, offset, kraftVersion: control.value.kRaftVersion };
    else if (control.type === "Voters") next = { ...last, offset, voters: control.value.voters.map(voterOf) };
    else return;
    // A snapshot's own records replace each other.
    if (last.offset === offset) this.entries.pop();
    this.entries.push(next);
  }

  /** Everything comes from a snapshot now, whose control records follow. */
  reset(): void {
    this.entries = [{ offset: -1, kraftVersion: 0, voters: null }];
  }

  /** What lies at `endOffset` and after it is gone. Returns whether a set went with it. */
  truncateTo(endOffset: number): boolean {
    const kept = this.entries.filter(({ offset }) => offset < endOffset);
    const hasChanged = kept.length < this.entries.length;
    this.entries = kept;
    return hasChanged;
  }

  /** All before `highWatermark` is committed: of those sets only the newest matter. */
  onHighWatermark(highWatermark: number): void {
    const committed = this.entries.filter(({ offset }) => offset < highWatermark).length;
    if (committed > committedSetCountMax) this.entries = this.entries.slice(committed - committedSetCountMax);
  }
}

type VotersValue = Extract<ControlRecord, { type: "Voters" }>["value"];

function voterOf(voter: VotersValue["voters"][number]): Voter {
  return {
    id: voter.voterId,
    directoryId: voter.voterDirectoryId,
    endpoints: voter.endpoints.map(({ name, host, port }) => ({ name, host, port })),
  };
}
