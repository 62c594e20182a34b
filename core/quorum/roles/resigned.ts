// A node that led this epoch and does not any more, in this process or in one before: it says so to the voters, and votes for nobody in it.
import { clusterMetadataTopic } from "../../model/index.ts";
import { ApiKey } from "../../protocol/index.ts";
import type { Voter } from "../metadata-quorum.ts";
import type { QuorumCore } from "../quorum-core.ts";
import type { ReplicaKey } from "../replicated-log.ts";
import { directoryIdOrZero } from "../voter-set.ts";
import { QuorumRole } from "./role.ts";

export class Resigned extends QuorumRole {
  readonly name = "resigned";
  private readonly preferred: readonly Voter[];
  /** Settles when all voters have been told, or could not be. */
  told: Promise<void> = Promise.resolve();

  /** `preferred`: who should lead next, the most advanced first. */
  constructor(core: QuorumCore, preferred: readonly Voter[]) {
    super(core);
    this.preferred = preferred;
  }

  override get leaderId(): number {
    return this.core.nodeId;
  }

  begin(): void {
    const { core } = this;
    this.after(core.electionTimeoutMs(), () => core.toUnattached(core.epoch + 1));
    const others = core.voters.filter(({ id }) => id !== core.nodeId);
    this.told = Promise.all(others.map((voter) => this.tell(voter))).then(() => {});
  }

  private tell(voter: Voter): Promise<void> {
    const { core } = this;
    const partition = {
      partitionIndex: 0,
      leaderId: core.nodeId,
      leaderEpoch: core.epoch,
      preferredSuccessors: this.preferred.map(({ id }) => id),
      preferredCandidates: this.preferred.map(({ directoryId, id }) => ({
        candidateId: id,
        candidateDirectoryId: directoryIdOrZero(directoryId),
      })),
    };
    const request = {
      clusterId: core.clusterId,
      topics: [{ topicName: clusterMetadataTopic, partitions: [partition] }],
      leaderEndpoints: [],
    };
    return new Promise((resolve) => {
      core.ask(
        voter,
        ApiKey.EndQuorumEpoch,
        request,
        (response) => {
          resolve();
          const answered = response.topics[0]?.partitions[0];
          if (answered !== undefined) core.observe(answered.leaderEpoch, answered.leaderId, response.nodeEndpoints);
        },
        () => {
          resolve();
          if (!this.isOver) this.after(core.settings.retryBackoffMs, () => void this.tell(voter));
        },
      );
    });
  }

  grantsVote(_candidate: ReplicaKey, isUpToDate: boolean, isPre: boolean): boolean {
    return isPre && isUpToDate;
  }
}
