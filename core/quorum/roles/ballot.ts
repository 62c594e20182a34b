// Asks all voters for their vote, or whether they would give it (KIP-996), and counts. What is lost on the way is asked again while the
// asker plays its part.
import { clusterMetadataTopic } from "../../model/index.ts";
import { ApiKey, ErrorCode, type VoteResponse } from "../../protocol/index.ts";
import type { Voter } from "../metadata-quorum.ts";
import type { QuorumCore } from "../quorum-core.ts";
import { directoryIdOrZero, majorityOf } from "../voter-set.ts";
import type { QuorumRole } from "./role.ts";

interface BallotOptions {
  readonly core: QuorumCore;
  readonly role: QuorumRole;
  readonly isPre: boolean;
  readonly retryLater: (callback: () => void) => void;
  readonly onWon: () => void;
  readonly onLost: () => void;
}

export class Ballot {
  private readonly options: BallotOptions;
  private readonly voters: readonly Voter[];
  private readonly granted = new Set<number>();
  private readonly rejected = new Set<number>();
  private isDecided = false;

  constructor(options: BallotOptions) {
    this.options = options;
    this.voters = options.core.voters;
  }

  get grantedBy(): readonly number[] {
    return [...this.granted];
  }

  begin(): void {
    const { core } = this.options;
    if (core.isVoter) this.granted.add(core.nodeId);
    if (this.decide()) return;
    for (const voter of this.voters) if (voter.id !== core.nodeId) this.ask(voter);
  }

  private ask(voter: Voter): void {
    const { core, isPre, role } = this.options;
    if (role.isOver) return;
    const { endOffset, epoch } = core.logEnd;
    core.ask(
      voter,
      ApiKey.Vote,
      {
        clusterId: core.clusterId,
        voterId: voter.id,
        topics: [
          {
            topicName: clusterMetadataTopic,
            partitions: [
              {
                partitionIndex: 0,
                replicaEpoch: core.epoch,
                replicaId: core.nodeId,
                replicaDirectoryId: core.options.directoryId,
                voterDirectoryId: directoryIdOrZero(voter.directoryId),
                lastOffsetEpoch: epoch,
                lastOffset: endOffset,
                preVote: isPre,
              },
            ],
          },
        ],
      },
      (response) => this.onResponse(voter, response),
      (error) => {
        if (role.isOver) return;
        // A voter from before KIP-996 votes without being asked first whether it would.
        if (isPre && (error as { kind?: unknown } | null)?.kind === "unsupported-version") this.count(voter.id, true);
        else this.askAgain(voter);
      },
    );
  }

  private askAgain(voter: Voter): void {
    this.options.retryLater(() => this.ask(voter));
  }

  private onResponse(voter: Voter, response: VoteResponse): void {
    const { core, role } = this.options;
    const partition = response.topics[0]?.partitions[0];
    if (response.errorCode !== ErrorCode.NONE || partition === undefined) {
      core.options.logger.warn(
        { voter: voter.id, errorCode: response.errorCode },
        "a voter refused to be asked for its vote",
      );
      if (!role.isOver) this.count(voter.id, false);
      return;
    }
    core.observe(partition.leaderEpoch, partition.leaderId, response.nodeEndpoints);
    if (role.isOver) return;
    this.count(voter.id, partition.errorCode === ErrorCode.NONE && partition.voteGranted);
  }

  private count(voterId: number, isGranted: boolean): void {
    this.granted.delete(voterId);
    this.rejected.delete(voterId);
    (isGranted ? this.granted : this.rejected).add(voterId);
    this.decide();
  }

  private decide(): boolean {
    if (this.isDecided) return true;
    const needed = majorityOf(this.voters.length);
    if (this.granted.size >= needed) {
      this.isDecided = true;
      this.options.onWon();
    } else if (this.voters.length - this.rejected.size < needed) {
      this.isDecided = true;
      this.options.onLost();
    }
    return this.isDecided;
  }
}
