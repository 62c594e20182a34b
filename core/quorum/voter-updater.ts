// What a follower tells its leader of itself: a voter its addresses and its directory, where the voters' record says otherwise (UpdateRaftVoter);
// a controller that is no voter asks to become one, where it may (KIP-853, auto-join).
import { type TimerHandle, uuidZero } from "../base/index.ts";
import { ApiKey, ErrorCode } from "../protocol/index.ts";
import type { QuorumCore } from "./quorum-core.ts";
import type { Follower } from "./roles/follower.ts";
import { sameEndpoints } from "./voter-set.ts";

/** In fetch timeouts: how often it is looked at. */
const updatePeriodFactor = 1;
/** kraft.version that this node can work with. */
export const kraftVersionRange = { minSupportedVersion: 0, maxSupportedVersion: 1 } as const;

export class VoterUpdater {
  private readonly core: QuorumCore;
  private readonly role: Follower;
  private readonly after: (delayMs: number, callback: () => void) => TimerHandle;
  /** With kraft.version 0 the leader keeps it in memory: once an epoch is enough. */
  private hasTold = false;

  constructor(core: QuorumCore, role: Follower, after: (delayMs: number, callback: () => void) => TimerHandle) {
    this.core = core;
    this.role = role;
    this.after = after;
  }

  begin(): void {
    if (this.core.options.isController === false) return;
    const look = (): void => {
      this.look();
      this.after(this.core.settings.fetchTimeoutMs * updatePeriodFactor, look);
    };
    this.after(this.core.settings.fetchTimeoutMs * updatePeriodFactor, look);
  }

  private look(): void {
    const { core } = this;
    const endpoints = core.options.endpoints ?? null;
    if (endpoints === null || endpoints.length === 0) return;
    if (core.isVoter) {
      const own = core.voters.find(({ id }) => id === core.nodeId);
      const isKnown =
        core.kraftVersion === 0 ? this.hasTold : own !== undefined && sameEndpoints(own.endpoints, endpoints);
      if (!isKnown) this.update();
    } else if (core.settings.autoJoin && core.kraftVersion > 0) {
      this.join();
    }
  }

  private update(): void {
    const { core } = this;
    core.ask(
      this.role.leaderPlace,
      ApiKey.UpdateRaftVoter,
      {
        clusterId: core.clusterId,
        currentLeaderEpoch: core.epoch,
        voterId: core.nodeId,
        voterDirectoryId: core.options.directoryId,
        listeners: [...core.ownEndpoints],
        kRaftVersionFeature: kraftVersionRange,
      },
      (response) => {
        if (response.errorCode === ErrorCode.NONE) this.hasTold = true;
        const { host, leaderEpoch, leaderId, port } = response.currentLeader;
        const places = host === "" ? [] : [{ nodeId: leaderId, host, port }];
        if (leaderEpoch >= 0) core.observe(leaderEpoch, leaderId, places);
      },
      () => {},
    );
  }

  /** Its id with another directory, as after the loss of a disk, has to go first: one id votes once. */
  private join(): void {
    const { core } = this;
    const former = core.voters.find(({ id }) => id === core.nodeId);
    if (former !== undefined) {
      const voterDirectoryId = former.directoryId ?? uuidZero;
      const request = { clusterId: core.clusterId, voterId: core.nodeId, voterDirectoryId };
      core.ask(
        this.role.leaderPlace,
        ApiKey.RemoveRaftVoter,
        request,
        ({ errorCode }) => this.log("left", errorCode),
        () => {},
      );
      return;
    }
    core.ask(
      this.role.leaderPlace,
      ApiKey.AddRaftVoter,
      {
        clusterId: core.clusterId,
        timeoutMs: core.settings.requestTimeoutMs,
        voterId: core.nodeId,
        voterDirectoryId: core.options.directoryId,
        listeners: [...core.ownEndpoints],
        ackWhenCommitted: false,
      },
      ({ errorCode }) => this.log("joined", errorCode),
      () => {},
    );
  }

  private log(what: "joined" | "left", errorCode: number): void {
    if (this.role.isOver) return;
    const { logger, nodeId } = { logger: this.core.options.logger, nodeId: this.core.nodeId };
    if (errorCode === ErrorCode.NONE) logger.info({ nodeId }, `the quorum's voters: this node has ${what}`);
    else logger.warn({ nodeId, errorCode }, "the quorum's voters could not be changed for this node yet");
  }
}
