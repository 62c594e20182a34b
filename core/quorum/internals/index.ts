// The inside of the quorum, opened for the simulator alone: it plants faults here and shows that its invariants find them.
export { CommitFeed } from "../commit-feed.ts";
export { EpochAllowance } from "../epoch-allowance.ts";
export { LogFetcher } from "../log-fetcher.ts";
export { LogSyncer } from "../log-syncer.ts";
export { QuorumCore } from "../quorum-core.ts";
export { Ballot } from "../roles/ballot.ts";
export { Candidate } from "../roles/candidate.ts";
export { Follower } from "../roles/follower.ts";
export { Leader } from "../roles/leader.ts";
export { Prospective } from "../roles/prospective.ts";
export { Resigned } from "../roles/resigned.ts";
export { Unattached } from "../roles/unattached.ts";
export { SnapshotDownload } from "../snapshot-download.ts";
export { SnapshotKeeper } from "../snapshot-keeper.ts";
export { VoterChanges } from "../voter-changes.ts";
export { VoterProgress } from "../voter-progress.ts";
export { VoterHistory } from "../voter-set.ts";
