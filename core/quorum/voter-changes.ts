// Changes of the voters at the leader (KIP-853): one at a time, each by a record that counts from the moment it is appended. A new voter has
// to answer and to have caught up; the next change waits until this one is committed.
import { type TimerHandle, type Uuid, uuidZero } from "../base/index.ts";
import { ApiKey, ErrorCode } from "../protocol/index.ts";
import type { Voter, VoterEndpoint } from "./metadata-quorum.ts";
import type { QuorumCore } from "./quorum-core.ts";
import type { Leader } from "./roles/leader.ts";
import { voterControlRecords } from "./snapshot-writer.ts";
import { isVoterKey, sameEndpoints } from "./voter-set.ts";

export interface VoterChangeAnswer {
  readonly errorCode: ErrorCode;
  readonly message: string | null;
}

export interface NewVoter {
  readonly id: number;
  readonly directoryId: Uuid;
  readonly endpoints: readonly VoterEndpoint[];
}

interface PendingChange {
  /** Of its record; -1 before it is written. */
  offset: number;
  readonly answer: (answer: VoterChangeAnswer) => void;
}

const none: VoterChangeAnswer = { errorCode: ErrorCode.NONE, message: null };
const kraftVersionFeature = "kraft.version";
/** A replica that has not caught up for this long cannot become a voter. */
export const caughtUpMsMax = 60 * 60 * 1000;

function refused(errorCode: ErrorCode, message: string): VoterChangeAnswer {
  return { errorCode, message };
}

export class VoterChanges {
  private readonly core: QuorumCore;
  private readonly leader: Leader;
  private readonly after: (delayMs: number, callback: () => void) => TimerHandle;
  private pending: PendingChange | null = null;
  /** kraft.version 0: what voters have said of themselves, for the upgrade. */
  private readonly told = new Map<number, NewVoter>();

  constructor(core: QuorumCore, leader: Leader, after: (delayMs: number, callback: () => void) => TimerHandle) {
    this.core = core;
    this.leader = leader;
    this.after = after;
  }

  /** What every change must first hold; null when it does. */
  private problem(): VoterChangeAnswer | null {
    const { core } = this;
    if (this.pending !== null) return refused(ErrorCode.REQUEST_TIMED_OUT, "another change of the voters is under way");
    if (!this.leader.isEstablished) {
      return refused(ErrorCode.REQUEST_TIMED_OUT, "the leader has not committed a record of its epoch yet");
    }
    if (core.kraftVersion < 1)
      return refused(ErrorCode.UNSUPPORTED_VERSION, "voters can change from kraft.version 1 on");
    if (core.history.latest.offset >= core.highWatermark) {
      return refused(ErrorCode.REQUEST_TIMED_OUT, "the last change of the voters is not committed yet");
    }
    return null;
  }

  /** 1. It answers, and knows this kraft.version. 2. It has caught up. 3. The record; 4. its commit, where that is waited for. */
  add(
    voter: NewVoter,
    options: { readonly timeoutMs: number; readonly ackWhenCommitted: boolean },
  ): Promise<VoterChangeAnswer> {
    const { core } = this;
    const problem = this.problem();
    if (problem !== null) return Promise.resolve(problem);
    if (core.voters.some(({ id }) => id === voter.id)) {
      return Promise.resolve(refused(ErrorCode.DUPLICATE_VOTER, `node ${voter.id} is a voter already`));
    }
    return this.begin(options.timeoutMs, (change) => {
      core.ask(
        voter,
        ApiKey.ApiVersions,
        { clientSoftwareName: "blumfeld", clientSoftwareVersion: "0.1.0" },
        ({ errorCode, supportedFeatures }) => {
          if (this.pending !== change) return;
          const range = supportedFeatures.find(({ name }) => name === kraftVersionFeature);
          if (errorCode !== ErrorCode.NONE) {
            this.finish(
              change,
              refused(ErrorCode.REQUEST_TIMED_OUT, `node ${voter.id} refused to say what it supports`),
            );
          } else if (
            range === undefined ||
            range.minVersion > core.kraftVersion ||
            range.maxVersion < core.kraftVersion
          ) {
            const message = `node ${voter.id} does not support kraft.version=${core.kraftVersion}`;
            this.finish(change, refused(ErrorCode.INVALID_REQUEST, message));
          } else {
            this.addReached(change, voter, options.ackWhenCommitted);
          }
        },
        () => this.finish(change, refused(ErrorCode.REQUEST_TIMED_OUT, `node ${voter.id} could not be reached`)),
      );
    });
  }

  private addReached(change: PendingChange, voter: NewVoter, ackWhenCommitted: boolean): void {
    const { core } = this;
    const progress = core.observers.find({ id: voter.id, directoryId: voter.directoryId });
    const nowMs = core.options.clock.wallMs();
    if (progress === null || progress.lastCaughtUpMs <= nowMs - caughtUpMsMax || progress.lastCaughtUpMs < 0) {
      this.finish(
        change,
        refused(ErrorCode.REQUEST_TIMED_OUT, `node ${voter.id} has not caught up with the metadata log`),
      );
      return;
    }
    this.write(change, [...core.voters, voter]);
    if (!ackWhenCommitted) change.answer(none);
  }

  remove(key: { readonly id: number; readonly directoryId: Uuid }, timeoutMs: number): Promise<VoterChangeAnswer> {
    const { core } = this;
    const problem = this.problem();
    if (problem !== null) return Promise.resolve(problem);
    const voter = core.voters.find((each) => isVoterKey(each, key));
    if (voter === undefined) {
      const message = `the quorum has no voter ${key.id} with directory ${key.directoryId}`;
      return Promise.resolve(refused(ErrorCode.VOTER_NOT_FOUND, message));
    }
    if (core.voters.length === 1) {
      return Promise.resolve(refused(ErrorCode.INVALID_REQUEST, `node ${key.id} is the only voter and has to stay`));
    }
    return this.begin(timeoutMs, (change) =>
      this.write(
        change,
        core.voters.filter((each) => each !== voter),
      ),
    );
  }

  /** A voter says where it is reached and what it supports. */
  update(voter: NewVoter, supported: { readonly min: number; readonly max: number }): Promise<VoterChangeAnswer> {
    const { core } = this;
    if (core.kraftVersion < 1) {
      if (!core.voters.some(({ id }) => id === voter.id)) {
        return Promise.resolve(refused(ErrorCode.VOTER_NOT_FOUND, `node ${voter.id} is no voter`));
      }
      this.told.set(voter.id, voter);
      return Promise.resolve(none);
    }
    const known = core.voters.find((each) => isVoterKey(each, voter));
    if (known === undefined) return Promise.resolve(refused(ErrorCode.VOTER_NOT_FOUND, `node ${voter.id} is no voter`));
    if (supported.min > core.kraftVersion || supported.max < core.kraftVersion) {
      const message = `node ${voter.id} does not support kraft.version=${core.kraftVersion}`;
      return Promise.resolve(refused(ErrorCode.INVALID_REQUEST, message));
    }
    if (sameEndpoints(known.endpoints, voter.endpoints)) return Promise.resolve(none);
    const problem = this.problem();
    if (problem !== null) return Promise.resolve(problem);
    return this.begin(core.settings.requestTimeoutMs, (change) =>
      this.write(
        change,
        core.voters.map((each) => (each === known ? { ...known, endpoints: voter.endpoints } : each)),
      ),
    );
  }

  /** kraft.version 0 → 1: the voters' directories, which the configuration does not know, come from what they told this leader. */
  upgrade(isValidateOnly: boolean): Promise<VoterChangeAnswer> {
    const { core } = this;
    if (this.pending !== null || !this.leader.isEstablished) {
      return Promise.resolve(refused(ErrorCode.REQUEST_TIMED_OUT, "the leader cannot change the voters yet"));
    }
    if (core.kraftVersion >= 1) return Promise.resolve(none);
    const voters: Voter[] = [];
    for (const { id } of core.voters) {
      const told = id === core.nodeId ? this.self() : this.told.get(id);
      if (told === undefined) {
        const message = `voter ${id} has not told its directory id yet: it may be older than kraft.version=1, or not running`;
        return Promise.resolve(refused(ErrorCode.INVALID_UPDATE_VERSION, message));
      }
      voters.push({ id, directoryId: told.directoryId, endpoints: told.endpoints });
    }
    if (isValidateOnly) return Promise.resolve(none);
    return this.begin(core.settings.requestTimeoutMs, (change) => {
      change.offset = this.leader.appendControls(voterControlRecords(1, voters));
    });
  }

  private self(): NewVoter {
    const { core } = this;
    return { id: core.nodeId, directoryId: core.options.directoryId, endpoints: core.ownEndpoints };
  }

  private begin(timeoutMs: number, work: (change: PendingChange) => void): Promise<VoterChangeAnswer> {
    return new Promise((resolve) => {
      const change: PendingChange = { offset: -1, answer: resolve };
      this.pending = change;
      // The answer is late; a record that is written stays and may be committed yet.
      this.after(Math.max(timeoutMs, 0), () => {
        change.answer(refused(ErrorCode.REQUEST_TIMED_OUT, "the change of the voters was not committed in time"));
        if (change.offset < 0 && this.pending === change) this.pending = null;
      });
      this.core.run(() => work(change));
    });
  }

  private write(change: PendingChange, voters: readonly Voter[]): void {
    const [, record] = voterControlRecords(this.core.kraftVersion, voters);
    change.offset = this.leader.appendControls([record!]);
  }

  private finish(change: PendingChange, answer: VoterChangeAnswer): void {
    if (this.pending === change) this.pending = null;
    change.answer(answer);
  }

  onHighWatermark(offset: number): void {
    const { pending } = this;
    if (pending !== null && pending.offset >= 0 && pending.offset < offset) this.finish(pending, none);
  }

  /** The node leads no more: nobody can say whether the change will be committed. */
  close(): void {
    const { pending } = this;
    this.pending = null;
    pending?.answer(refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, "this node does not lead the quorum any more"));
  }
}

/** Whether a request describes a voter at all. */
export function isWholeVoter(voter: NewVoter): boolean {
  return voter.id >= 0 && voter.directoryId !== uuidZero && voter.endpoints.length > 0;
}
