// A quorum in a simulated world: some minutes of appends under faults, then healing, after which everything must work again. See
// docs/design/simulation.md for what is drawn from the seed.
import type { Voter } from "@blumfeld/core/quorum";
import { InvariantBroken, SimWorld } from "../world.ts";
import { QuorumChecker } from "./checker.ts";
import { bootstrapPort, type NodePlan, prepared, QuorumNode, type QuorumProcess } from "./quorum-node.ts";
import { RpcNetwork } from "./rpc-network.ts";

/** After healing everything has to be well again within this time. */
export const healingMsMax = 60_000;
/** Time under faults. */
const faultsMsMin = 6_000;
const faultsMsMax = 20_000;
const keyCount = 12;

export interface QuorumSimResult {
  readonly seed: number;
  readonly hash: string;
  /** Null: all held. */
  readonly failure: string | null;
  readonly trace: string;
  readonly simulatedMs: number;
  readonly eventCount: number;
  readonly committedCount: number;
  readonly epochCount: number;
}

export async function runQuorumSeed(seed: number, keepsTrace = false): Promise<QuorumSimResult> {
  const world = new SimWorld(seed, { keepsTrace });
  const sim = new QuorumSim(world);
  let failure: string | null = null;
  try {
    await sim.run();
  } catch (error) {
    const isBroken = error instanceof InvariantBroken;
    failure = isBroken ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.trace.add(`FAILED ${isBroken ? error.message : "by an exception"}`);
  }
  return {
    ...{ seed, failure, hash: world.trace.hash, trace: world.trace.text },
    ...{ simulatedMs: world.nowMs, eventCount: world.eventCount },
    committedCount: sim.checker.acknowledgedCount,
    epochCount: sim.checker.leaders.size,
  };
}

class QuorumSim {
  readonly checker = new QuorumChecker();
  private readonly world: SimWorld;
  private readonly nodes: QuorumNode[] = [];
  private readonly network: RpcNetwork;
  private readonly kraftVersion: 0 | 1;
  private readonly changesVoters: boolean;
  private readonly isCalm: boolean;
  /** Whose disk was lost; the voter that it was cannot come back. */
  private replaced: number | null = null;
  private valueCount = 0;
  private isHealing = false;
  /** Appends that are not answered; those of a process that has gone never will be. */
  private readonly outstanding = new Map<Promise<void>, QuorumProcess>();

  constructor(world: SimWorld) {
    this.world = world;
    this.network = new RpcNetwork(world, this.nodes);
    this.kraftVersion = world.chance(0.75) ? 1 : 0;
    this.changesVoters = this.kraftVersion === 1 && world.chance(0.5);
    this.isCalm = world.chance(0.1);
    this.makeNodes();
    world.afterEvent = () => this.check();
  }

  private makeNodes(): void {
    const { world } = this;
    const voterCount = world.pick([3, 3, 3, 4, 5, 1, 2])!;
    const observerCount = world.pick([0, 1, 1, 2])!;
    const brokerCount = world.chance(0.3) ? 1 : 0;
    // The short one makes many a vote split.
    const electionTimeoutMs = world.pick([60, 300, 1000])!;
    const settings = {
      electionTimeoutMs,
      fetchTimeoutMs: electionTimeoutMs * 2,
      electionBackoffMsMax: electionTimeoutMs,
      requestTimeoutMs: electionTimeoutMs * 2,
      retryBackoffMs: 20,
      fetchBytesMax: world.pick([200, 1000, 1024 * 1024])!,
      fetchSnapshotBytesMax: world.pick([150, 1024 * 1024])!,
      autoJoin: this.changesVoters && world.chance(0.3),
    };
    const limits = {
      snapshotBytesMax: world.pick([600, 2_000, 20_000])!,
      snapshotIntervalMs: 0,
      retentionBytes: world.pick([1, 4_000])!,
      retentionMs: -1,
      cleaningIntervalMs: world.pick([500, 5_000])!,
    };
    const total = voterCount + observerCount + brokerCount;
    const ids = Array.from({ length: total }, (_, index) => index + 1);
    const controllerCount = voterCount + observerCount;
    const bootstrapServers = ids
      .slice(0, controllerCount)
      .map((id) => ({ id: -1 - id, host: `node${id}`, port: bootstrapPort }));
    const staticVoters =
      this.kraftVersion === 1
        ? null
        : ids.slice(0, voterCount).map((id) => ({
            id,
            directoryId: null,
            endpoints: [{ name: "CONTROLLER", host: `node${id}`, port: bootstrapPort }],
          }));
    for (const id of ids) {
      const plan: NodePlan = {
        ...{ id, isController: id <= controllerCount, staticVoters, bootstrapServers, settings, limits },
        segmentBytes: world.pick([4_096, 64 * 1024])!,
      };
      this.nodes.push(new QuorumNode({ world, network: this.network, checker: this.checker }, plan));
    }
    const voters: Voter[] = this.nodes
      .slice(0, voterCount)
      .map((node) => ({ id: node.id, directoryId: node.directoryId, endpoints: node.endpoints }));
    for (const node of this.nodes) node.format(this.kraftVersion === 1 && node.id <= voterCount ? voters : null);
    world.trace.add(
      `voters=${voterCount} observers=${observerCount} brokers=${brokerCount} kraft.version=${this.kraftVersion} changes=${this.changesVoters} calm=${this.isCalm}`,
    );
  }

  async run(): Promise<void> {
    const { world } = this;
    for (const node of this.nodes) world.at(world.below(500), null, () => this.startNode(node));
    if (!this.isCalm) {
      Object.assign(this.network.faults, {
        lossChance: world.pick([0, 0.01, 0.1])!,
        doubleChance: world.pick([0, 0.02])!,
        latencyMsMax: world.pick([2, 20, 100])!,
      });
    }
    this.scheduleAppends();
    if (!this.isCalm) this.scheduleFaults();
    if (this.changesVoters) this.scheduleVoterChanges();
    if (this.kraftVersion === 0 && world.chance(0.5)) this.scheduleUpgrade();
    await world.runUntil(world.between(faultsMsMin, faultsMsMax));
    await this.heal();
  }

  // --- the load ----------------------------------------------------------------------------------

  private scheduleAppends(): void {
    const { world } = this;
    const step = (): void => {
      if (this.isHealing) return;
      this.appendSomewhere();
      world.at(world.between(5, 200), null, step);
    };
    world.at(200, null, step);
  }

  /** At every node that believes it leads. */
  private appendSomewhere(): void {
    for (const { process } of this.nodes) {
      if (process?.quorum == null || process.pausedUntilMs > this.world.nowMs) continue;
      if (process.leading.leaderId !== process.id || process.quorum.roleName !== "leader") continue;
      const count = this.world.between(1, 3);
      const texts = Array.from({ length: count }, () => `k${this.world.below(keyCount)}=v${++this.valueCount}`);
      const records = texts.map((text) =>
        prepared(text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)),
      );
      const { committed, firstOffset } = process.quorum.append(records);
      const done = committed.then(
        () => this.checker.onAcknowledged(firstOffset, texts),
        () => {},
      );
      this.outstanding.set(done, process);
      done.then(
        () => this.outstanding.delete(done),
        (error: unknown) => {
          this.thrown ??= error;
        },
      );
    }
  }

  /** By something that nobody waits for. */
  private thrown: unknown = null;

  // --- faults ------------------------------------------------------------------------------------

  private scheduleFaults(): void {
    const { world } = this;
    const meanMs = world.pick([150, 500, 1500])!;
    const step = (): void => {
      if (this.isHealing) return;
      this.fault();
      world.at(world.between(10, meanMs * 2), null, step);
    };
    world.at(world.between(100, 2_000), null, step);
  }

  private fault(): void {
    const { network, world } = this;
    const node = world.pick(this.nodes)!;
    switch (world.below(12)) {
      case 0:
      case 1:
        this.killNode(node);
        break;
      case 2:
        // In the middle of what it does to its disk.
        if (node.process !== null) node.disk.stopAfter(world.below(12));
        break;
      case 3:
        if (node.process !== null) {
          const pauseMs = world.between(10, 4_000);
          node.process.pausedUntilMs = world.nowMs + pauseMs;
          world.trace.add(`n${node.id} paused for ${pauseMs} ms`);
        }
        break;
      case 4:
        for (const other of this.nodes) {
          network.cutLink(node.id, other.id);
          if (world.chance(0.7)) network.cutLink(other.id, node.id);
        }
        world.trace.add(`n${node.id} cut off`);
        break;
      case 5:
        this.splitGroups();
        break;
      case 6: {
        const other = world.pick(this.nodes)!;
        network.cutLink(node.id, other.id);
        world.trace.add(`link ${node.id}>${other.id} cut`);
        break;
      }
      case 7:
      case 8:
        network.heal();
        world.trace.add("links healed");
        break;
      case 9:
        node.disk.failNext("sync", /\.log$/, "EIO");
        break;
      case 10:
        node.syncMsMax = world.pick([1, 5, 200, 2000])!;
        if (node.process !== null) node.process.wallSkewMs += world.between(-60_000, 60_000);
        break;
      case 11:
        this.rareFault(node, world.below(6));
        break;
    }
  }

  private rareFault(node: QuorumNode, kind: number): void {
    if (kind <= 1) this.closeNode(node);
    else if (kind === 2) this.replaceDisk(node);
    else if (kind === 3) this.strangerFrame(node);
  }

  private splitGroups(): void {
    const { network, world } = this;
    const isLeft = this.nodes.map(() => world.chance(0.5));
    network.heal();
    this.nodes.forEach((one, from) => {
      this.nodes.forEach((other, to) => {
        if (isLeft[from] !== isLeft[to]) network.cutLink(one.id, other.id);
      });
    });
    world.trace.add(`split ${isLeft.map((left) => (left ? "L" : "R")).join("")}`);
  }

  private startNode(node: QuorumNode): void {
    if (node.process !== null) return;
    const { world } = this;
    if (this.kraftVersion === 1 && !this.isHealing && world.chance(0.2)) node.port = 9094 + world.below(50);
    world.trace.add(`n${node.id} starts`);
    node.start();
  }

  private killNode(node: QuorumNode): void {
    const { world } = this;
    if (node.process === null) return;
    node.kill();
    const writes = world.pick(["none", "tail", "all", "any"] as const)!;
    const names = world.pick(["none", "tail", "all"] as const)!;
    node.disk.crash({ writes, names });
    world.trace.add(`n${node.id} killed (writes lost: ${writes}, names: ${names})`);
    this.startLater(node);
  }

  private startLater(node: QuorumNode): void {
    const delayMs = this.isHealing ? 10 : this.world.between(5, this.world.chance(0.3) ? 60 : 4_000);
    node.downUntilMs = this.world.nowMs + delayMs;
    this.world.at(delayMs, null, () => this.startNode(node));
  }

  private closeNode(node: QuorumNode): void {
    const { process } = node;
    if (process?.quorum == null) return;
    this.world.trace.add(`n${node.id} closes`);
    void process.quorum.close().then(
      () => {
        if (node.process !== process) return;
        node.kill();
        this.startLater(node);
      },
      (error: unknown) => {
        // As a process that cannot write when it leaves.
        process.failure ??= error;
      },
    );
  }

  /**
   * Once in a run, and only where a majority of every set of voters that any node may go by keeps its disks: more than that no quorum
   * promises to survive.
   */
  private replaceDisk(node: QuorumNode): void {
    if (this.replaced !== null || this.kraftVersion === 0 || node.process === null) return;
    if (this.nodes.some(({ votersSeen }) => votersSeen > 0 && votersSeen < 3)) return;
    this.replaced = node.id;
    this.world.trace.add(`n${node.id} loses its disk`);
    node.kill();
    node.replaceDisk();
    this.startLater(node);
  }

  /** Somebody who is no voter names the largest epoch that there is. */
  private strangerFrame(node: QuorumNode): void {
    const { process } = node;
    if (process?.quorum == null) return;
    this.world.trace.add(`n${node.id} gets a stranger's frame`);
    const partition = { partitionIndex: 0, voterDirectoryId: node.directoryId, leaderId: 77, leaderEpoch: 0x7fff_ffff };
    process.quorum.onBeginQuorumEpoch(
      {
        clusterId: null,
        voterId: node.id,
        topics: [{ topicName: "__cluster_metadata", partitions: [partition] }],
        leaderEndpoints: [{ name: "CONTROLLER", host: "elsewhere", port: 1 }],
      } as never,
      { apiVersion: 1, listenerName: "CONTROLLER", nowMs: 0 },
    );
  }

  // --- voters ------------------------------------------------------------------------------------

  private scheduleVoterChanges(): void {
    const { world } = this;
    const step = (): void => {
      if (this.isHealing) return;
      this.changeVoters();
      world.at(world.between(200, 3_000), null, step);
    };
    world.at(world.between(1_500, 4_000), null, step);
  }

  /** kraft.version 0 → 1, asked for until it is granted. */
  private scheduleUpgrade(): void {
    const { world } = this;
    const step = (): void => {
      if (this.isHealing) return;
      const leader = this.nodes.find(({ process }) => process?.quorum?.roleName === "leader")?.process?.quorum;
      if (leader?.kraftVersion === 1) return;
      void leader
        ?.upgradeKraftVersion(1, false)
        .then(({ errorCode }) => world.trace.add(`kraft.version 1: ${errorCode}`));
      world.at(world.between(500, 2_000), null, step);
    };
    world.at(world.between(2_000, 5_000), null, step);
  }

  private changeVoters(): void {
    const { world } = this;
    const leader = this.nodes.find(({ process }) => process?.quorum?.roleName === "leader")?.process?.quorum;
    if (leader == null) return;
    const node = world.pick(this.nodes.filter(({ plan }) => plan.isController))!;
    const voter = leader.voters.find(({ id }) => id === node.id);
    const key = { voterId: node.id, voterDirectoryId: voter?.directoryId ?? node.directoryId, clusterId: null };
    if (voter !== undefined) {
      // Nobody takes voters away while one is lost for good, but that one.
      const isLost = this.replaced === node.id && voter.directoryId !== node.directoryId;
      const wouldHarm = this.replaced !== null && !isLost && leader.voters.length <= 3;
      if (wouldHarm || leader.voters.length <= world.pick([1, 2, 3])!) return;
      world.trace.add(`n${node.id} is to be removed`);
      void leader
        .onRemoveVoter(key as never)
        .then((answer) => this.world.trace.add(`removal of n${node.id}: ${answer.errorCode}`));
    } else {
      world.trace.add(`n${node.id} is to be added`);
      const request = { ...key, timeoutMs: 2_000, listeners: node.endpoints, ackWhenCommitted: world.chance(0.5) };
      void leader
        .onAddVoter(request as never)
        .then((answer) => this.world.trace.add(`addition of n${node.id}: ${answer.errorCode}`));
    }
  }

  // --- invariants --------------------------------------------------------------------------------

  private check(): void {
    const { checker, world } = this;
    if (this.thrown !== null) throw this.thrown;
    for (const node of this.nodes) {
      const { process } = node;
      if (process === null) continue;
      if (process.failure !== null || node.disk.hasStopped) {
        this.onNodeFailure(node, process.failure);
        continue;
      }
      const { quorum } = process;
      if (quorum === null) continue;
      const { epoch } = quorum.leaderAndEpoch;
      node.votersSeen = quorum.voters.length;
      if (epoch < node.epochSeen)
        throw new InvariantBroken(`node ${node.id} went from epoch ${node.epochSeen} back to ${epoch}`);
      if (epoch > 1_000_000) throw new InvariantBroken(`node ${node.id} has taken over epoch ${epoch}`);
      node.epochSeen = epoch;
      const votersProblem = process.votersProblem();
      if (votersProblem !== null) throw new InvariantBroken(`node ${node.id} ${votersProblem}`);
      const { roleName } = quorum;
      const role = `${roleName} ${epoch} ${quorum.leaderAndEpoch.leaderId}`;
      if (role !== process.lastRole) {
        process.lastRole = role;
        world.trace.add(`n${node.id} ${roleName} in epoch ${epoch}, leader ${quorum.leaderAndEpoch.leaderId}`);
        checker.onRole(node.id, epoch, roleName === "leader");
        this.aimedKill(node, roleName);
        if (roleName === "leader") this.checkLeader(node, epoch);
      }
      const { highWatermark } = quorum;
      if (highWatermark < process.lastHighWatermark) {
        throw new InvariantBroken(
          `node ${node.id}: the high watermark went from ${process.lastHighWatermark} to ${highWatermark}`,
        );
      }
      if (highWatermark > process.lastHighWatermark) {
        process.lastHighWatermark = highWatermark;
        const lastEpoch = process.log!.epochForOffset((highWatermark - 1) as never);
        // Raft, section 5.4.2: by counting, a leader commits records of its own epoch alone.
        if (roleName === "leader" && quorum.logStartOffset < highWatermark && lastEpoch !== epoch) {
          throw new InvariantBroken(
            `node ${node.id} leads epoch ${epoch} and commits up to a record of epoch ${lastEpoch}`,
          );
        }
        checker.onHighWatermark(highWatermark);
        if (world.trace.isKept) world.trace.note(`n${node.id} high watermark ${highWatermark}`);
      }
    }
  }

  /** Votes are given and won within milliseconds: kills at random times would hardly ever hit what a crash then loses. */
  private aimedKill(node: QuorumNode, roleName: string): void {
    const { world } = this;
    const isMoment = roleName === "unattached" || roleName === "candidate" || roleName === "leader";
    if (this.isCalm || this.isHealing || !isMoment || !world.chance(0.04)) return;
    const { process } = node;
    world.at(world.random.fraction() * 12, null, () => {
      if (node.process === process) this.killNode(node);
    });
  }

  private checkLeader(node: QuorumNode, epoch: number): void {
    const { log } = node.process!;
    this.checker.onNewLeader(
      node.id,
      epoch,
      log!.logEndOffset,
      (offset) => log!.epochForOffset(offset as never),
      log!.logStartOffset,
    );
  }

  /** A disk that fails, or has no power any more, ends the process; anything else is our mistake. */
  private onNodeFailure(node: QuorumNode, error: unknown): void {
    const isDisk = error === null || (error instanceof Error && error.name === "DiskError");
    if (!isDisk) throw error;
    this.world.trace.add(`n${node.id} fails by its disk`);
    this.killNode(node);
  }

  // --- the end -----------------------------------------------------------------------------------

  /**
   * Voters that have moved without a leader to tell cannot be asked for their vote: with too many of them there is none again, in Kafka as
   * here. Somebody has to give them the addresses back that the voters' record names.
   */
  private moveBack(): void {
    const running = this.nodes.filter(({ process }) => process?.quorum != null);
    if (running.some(({ process }) => process!.quorum!.roleName === "leader")) return;
    const ends = running.map(({ process }) => process!.quorum!.logEnd);
    ends.sort((one, other) => other.epoch - one.epoch || other.endOffset - one.endOffset);
    const last = running.find(({ process }) => process!.quorum!.logEnd.endOffset === ends[0]?.endOffset);
    for (const voter of last?.process?.quorum?.voters ?? []) {
      const node = this.nodes.find(({ id }) => id === voter.id);
      const port = voter.endpoints[0]?.port;
      if (node === undefined || port === undefined || node.port === port) continue;
      this.world.trace.add(`n${node.id} is moved back`);
      this.killNode(node);
      node.port = port;
    }
  }

  private async heal(): Promise<void> {
    const { network, nodes, world } = this;
    this.isHealing = true;
    world.trace.add("healing");
    network.heal();
    Object.assign(network.faults, { lossChance: 0, doubleChance: 0, latencyMsMax: 3 });
    for (const node of nodes) {
      node.syncMsMax = 3;
      if (node.process !== null) node.process.pausedUntilMs = 0;
      if (node.process === null) world.at(50, null, () => this.startNode(node));
    }
    world.at(300, null, () => this.moveBack());
    const beganMs = world.nowMs;
    let goal = -1;
    const tick = (): void => {
      if (goal < 0) {
        const before = this.valueCount;
        this.appendSomewhere();
        if (this.valueCount > before) goal = this.checker.committedEnd;
      }
      world.at(100, null, tick);
    };
    world.at(500, null, tick);
    const isWell = (): boolean =>
      goal >= 0 &&
      [...this.outstanding.values()].every(({ isAlive }) => !isAlive) &&
      this.checker.acknowledgedEnd > goal &&
      nodes.every(({ process }) => process?.quorum != null && process.applied >= this.checker.acknowledgedEnd);
    let lastTryMs = world.nowMs;
    await world.runUntil(beganMs + healingMsMax, () => {
      // A leader may have gone between its append and its commit.
      if (goal >= 0 && !isWell() && world.nowMs - lastTryMs > 3_000) {
        goal = -1;
        lastTryMs = world.nowMs;
      }
      return isWell();
    });
    if (!isWell()) {
      const seen = nodes.map((node) => describedNode(node));
      throw new InvariantBroken(
        `not well ${healingMsMax / 1000} s after healing; acknowledged up to ${this.checker.acknowledgedEnd}; ${seen.join("\n  ")}`,
      );
    }
    for (const { id, process } of nodes) this.checker.sameState(id, process!.applied, process!.state);
    world.trace.add(
      `well after ${Math.round(world.nowMs - beganMs)} ms, ${this.checker.acknowledgedCount} records acknowledged`,
    );
  }
}

function describedNode({ directoryId, id, port, process }: QuorumNode): string {
  const quorum = process?.quorum;
  if (!process || !quorum) return `n${id}: down`;
  const voters = quorum.voters.map(
    (voter) => `${voter.id}@${voter.endpoints[0]?.port}/${voter.directoryId?.slice(-3)}`,
  );
  const end = quorum.logEnd;
  return `n${id}:${port}/${directoryId.slice(-3)} ${process.lastRole}, log ${quorum.logStartOffset}–${end.endOffset} (epoch ${end.epoch}), applied ${process.applied}, voters ${voters.join(" ")}`;
}
