// Faults that a quorum's author might well make. Each must be found by the simulator's invariants.
import {
  Ballot,
  Candidate,
  CommitFeed,
  EpochAllowance,
  Follower,
  Leader,
  LogFetcher,
  LogSyncer,
  QuorumCore,
  SnapshotDownload,
  SnapshotKeeper,
  Unattached,
  VoterHistory,
  VoterProgress,
} from "@blumfeld/core/quorum/internals";
import { nodeHooks } from "../quorum/node-hooks.ts";
import { type PlantedBug, replaceGetter, replaceMethod } from "./plant.ts";

/** Private fields, as a fault sees them. */
interface Core {
  epoch: number;
  votedFor: unknown;
  nodeId: number;
  highWatermark: number;
  log: { logEndOffset: number; truncateTo(offset: number): void };
  syncer: { sync(): Promise<void> };
  voters: readonly { readonly id: number }[];
  role: object;
  onHighWatermark(offset: number): void;
  truncateTo(offset: number): void;
  toLeader(grantedBy: readonly number[]): void;
}
const coreOf = (self: object): Core => (self as { core: Core }).core;

export const quorumBugs: readonly PlantedBug[] = [
  {
    name: "vote-not-on-disk",
    what: "a vote is said before it is written",
    plant: () =>
      replaceMethod(
        QuorumCore,
        "voteFor",
        () =>
          function (candidate) {
            this.votedFor ??= candidate;
          },
      ),
  },
  {
    name: "quorum-state-not-synced",
    what: "quorum-state is written in place and not synced",
    plant: () => nodeHooks.set("writesStateUnsynced", true),
  },
  {
    name: "vote-forgotten-at-start",
    what: "a node that starts forgets whom it has voted for",
    plant: () => nodeHooks.set("forgetsVote", true),
  },
  {
    name: "vote-for-everybody",
    what: "a second candidate of an epoch gets a vote too",
    plant: () => replaceMethod(QuorumCore, "hasVotedFor", () => () => null),
  },
  {
    name: "vote-without-log-check",
    what: "a candidate with a shorter log gets a vote",
    plant: () =>
      replaceMethod(
        Unattached,
        "grantsVote",
        (original) =>
          function (candidate, _isUpToDate, isPre) {
            return original.call(this, candidate, true, isPre);
          },
      ),
  },
  {
    name: "election-by-minority",
    what: "half of the votes are enough",
    plant: () =>
      replaceMethod(
        Ballot,
        "decide",
        (original) =>
          function () {
            const voters = this.voters as readonly unknown[];
            const granted = this.granted as Set<number>;
            const isHalf = !this.isDecided && granted.size >= Math.ceil(voters.length / 2);
            if (!isHalf) return original.call(this);
            this.isDecided = true;
            (this.options as { onWon(): void }).onWon();
            return true;
          },
      ),
  },
  {
    name: "candidate-leads-unasked",
    what: "the promise of votes is taken for the votes",
    plant: () =>
      replaceMethod(
        Candidate,
        "begin",
        () =>
          function () {
            coreOf(this).toLeader([coreOf(this).nodeId]);
          },
      ),
  },
  {
    name: "epoch-used-twice",
    what: "a candidate's epoch is not written down",
    plant: () =>
      replaceMethod(
        QuorumCore,
        "persist",
        (original) =>
          function (epoch, leaderId, votedFor) {
            if (leaderId !== -1) return original.call(this, epoch, leaderId, votedFor);
            this.epoch = epoch;
            this.votedFor = votedFor;
            return undefined;
          },
      ),
  },
  {
    name: "observer-stands",
    what: "every controller takes itself for a voter",
    plant: () => replaceGetter(QuorumCore, "isVoter", () => () => true),
  },
  {
    name: "stranger-raises-epoch",
    what: "any epoch that a request names is taken over",
    plant: () => replaceMethod(EpochAllowance, "take", () => () => true),
  },
  {
    name: "directory-id-kept",
    what: "a node on a new disk votes and counts as the one before it",
    plant: () => nodeHooks.set("keepsDirectoryId", true),
  },
  {
    name: "leader-counts-unsynced",
    what: "the leader's own log counts before it is synced",
    plant: () =>
      replaceGetter(
        LogSyncer,
        "syncedOffset",
        () =>
          function () {
            return (this.log as { logEndOffset: number }).logEndOffset;
          },
      ),
  },
  {
    name: "follower-answers-unsynced",
    what: "a follower asks for more before it has synced what it got",
    plant: () =>
      replaceMethod(
        LogFetcher,
        "append",
        (original) =>
          function (...args) {
            const { syncer } = coreOf(this);
            const { sync } = syncer;
            syncer.sync = () => Promise.resolve();
            try {
              return original.apply(this, [...args]);
            } finally {
              syncer.sync = sync;
            }
          },
      ),
  },
  {
    name: "log-never-synced",
    what: "a sync of the log returns without having done it",
    plant: () => nodeHooks.set("neverSyncs", true),
  },
  {
    name: "high-watermark-of-fastest",
    what: "what one voter has is committed",
    plant: () =>
      replaceMethod(
        VoterProgress,
        "majorityOffset",
        (original) =>
          function (...args) {
            const offsets = [...(this.byId as Map<number, { offset: number }>).values()].map(({ offset }) => offset);
            return Math.max(original.apply(this, [...args]) as number, ...offsets);
          },
      ),
  },
  {
    name: "high-watermark-of-half",
    what: "what half of the voters have is committed",
    plant: () =>
      replaceMethod(
        VoterProgress,
        "majorityOffset",
        () =>
          function (voters, own, ownOffset) {
            const list = (voters as readonly object[]).map((voter) => {
              const { id } = voter as { id: number };
              if (own !== null && id === (own as { id: number }).id) return ownOffset as number;
              return (this.offsetOf as (id: number) => number).call(this, id);
            });
            list.sort((one, other) => other - one);
            return list[Math.ceil(list.length / 2) - 1] ?? -1;
          },
      ),
  },
  {
    name: "silent-voter-counts",
    what: "a voter that has not fetched yet counts as if it had everything",
    plant: () =>
      replaceMethod(
        VoterProgress,
        "offsetFor",
        (original) =>
          function (voter) {
            const offset = original.call(this, voter) as number;
            return offset < 0 ? Number.MAX_SAFE_INTEGER : offset;
          },
      ),
  },
  {
    name: "old-epoch-committed",
    what: "records of earlier epochs are committed by counting (Raft, figure 8)",
    plant: () =>
      replaceMethod(
        Leader,
        "updateHighWatermark",
        (original) =>
          function () {
            this.epochStart = -1;
            return original.call(this);
          },
      ),
  },
  {
    name: "told-before-committed",
    what: "the leader's listeners see what is only appended",
    plant: () =>
      replaceMethod(
        Leader,
        "onWritten",
        (original) =>
          function () {
            original.call(this);
            const core = coreOf(this);
            core.onHighWatermark(core.log.logEndOffset);
          },
      ),
  },
  {
    name: "acknowledged-at-write",
    what: "an append is acknowledged when it is written",
    plant: () =>
      replaceMethod(
        Leader,
        "onWritten",
        (original) =>
          function () {
            original.call(this);
            for (const append of this.uncommitted as { resolve(): void }[]) append.resolve();
          },
      ),
  },
  {
    name: "follower-does-not-truncate",
    what: "a log that parts from its leader's is left as it is",
    plant: () =>
      replaceMethod(
        LogFetcher,
        "truncate",
        () =>
          function () {
            (this.retryLater as () => void).call(this);
          },
      ),
  },
  {
    name: "truncation-one-short",
    what: "the first record that differs stays",
    plant: () =>
      replaceMethod(
        QuorumCore,
        "truncateTo",
        (original) =>
          function (offset) {
            return original.call(this, Math.min((offset as number) + 1, (this.log as Core["log"]).logEndOffset));
          },
      ),
  },
  {
    name: "truncation-too-far",
    what: "a log that parts from its leader's is emptied",
    plant: () =>
      replaceMethod(
        QuorumCore,
        "truncateTo",
        (original) =>
          function () {
            return original.call(this, 0);
          },
      ),
  },
  {
    name: "no-epoch-check",
    what: "the leader takes every log for a prefix of its own",
    plant: () => nodeHooks.set("ignoresEpochs", true),
  },
  {
    name: "follower-believes-high-watermark",
    what: "a follower takes over a high watermark beyond its own log",
    plant: () =>
      replaceMethod(
        QuorumCore,
        "onHighWatermark",
        (original) =>
          function (offset) {
            const isFollower = this.role instanceof Follower;
            return original.call(this, isFollower ? (offset as number) + 1 : offset);
          },
      ),
  },
  {
    name: "voters-not-rolled-back",
    what: "voters stay as a record had them that was cut off",
    plant: () => replaceMethod(VoterHistory, "truncateTo", () => () => false),
  },
  {
    name: "voters-not-in-snapshot",
    what: "a snapshot forgets the voters",
    plant: () => replaceMethod(VoterHistory, "before", () => () => ({ offset: -1, kraftVersion: 0, voters: null })),
  },
  {
    name: "voters-by-commit",
    what: "new voters do not count before their record is committed",
    plant: () =>
      replaceMethod(
        VoterHistory,
        "onControl",
        (original) =>
          function (control, offset) {
            if ((control as { type: string }).type === "Voters" && (offset as number) > 20) return undefined;
            return original.call(this, control, offset);
          },
      ),
  },
  {
    name: "snapshot-named-too-early",
    what: "a snapshot is named one offset before its state",
    plant: () =>
      replaceMethod(
        SnapshotKeeper,
        "begin",
        (original) =>
          function (last) {
            const batch = last as { lastOffset: number };
            return original.call(this, { ...batch, lastOffset: batch.lastOffset - 1 });
          },
      ),
  },
  {
    name: "snapshot-piece-twice",
    what: "a piece of a snapshot that comes twice is written twice",
    plant: () =>
      replaceMethod(
        SnapshotDownload,
        "isNextPiece",
        () =>
          function (answer) {
            const { position, unalignedRecords } = answer as { position: bigint; unalignedRecords: Buffer };
            this.position = Math.max(Number(position) - 1, 0);
            return unalignedRecords.length > 0;
          },
      ),
  },
  {
    name: "listeners-miss-snapshot",
    what: "after a snapshot the listeners go on where they were",
    plant: () => replaceMethod(CommitFeed, "jumpTo", () => () => {}),
  },
  {
    name: "commit-skipped",
    what: "of what a leader appended itself, its first batch is not shown to its listeners",
    plant: () =>
      replaceMethod(
        CommitFeed,
        "takeAppended",
        (original) =>
          function (highWatermark) {
            const batches = original.call(this, highWatermark) as { records: unknown[] }[] | null;
            return (
              batches?.map((batch, index) => (index === 0 && batches.length > 1 ? { ...batch, records: [] } : batch)) ??
              null
            );
          },
      ),
  },
];
