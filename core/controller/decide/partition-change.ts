// The change of one partition that a cause (a broker comes, goes or is wanted out; an election; a reassignment) makes necessary: who is in
// sync, who is eligible, who leads. Kafka's rules with KIP-966 (eligible leader replicas) and KIP-455 (reassignment). One record, or none.
import type { Uuid } from "../../base/index.ts";
import type { MetadataRecordInit, PartitionChangeRecordInit } from "../../protocol/index.ts";
import {
  leaderNone,
  leaderRecovering,
  leaderUnchanged,
  metadataVersions,
  type PartitionImage,
  partitionChangeVersion,
} from "../image/index.ts";

/** "preferred" may take a well leader's place; "online" only fills a gap; "unclean" fills it with whoever is there. */
export type ElectionKind = "preferred" | "online" | "unclean";

export interface PartitionChangeInput {
  readonly topicId: Uuid;
  readonly partitionId: number;
  readonly partition: PartitionImage;
  readonly metadataVersion: number;
  readonly isElrEnabled: boolean;
  /** The topic's min.insync.replicas. */
  readonly minInsyncReplicas: number;
  readonly election: ElectionKind;
  readonly mayLead: (replica: number) => boolean;
  /** Where a replica that is new goes. */
  readonly directoryOf: (replica: number) => Uuid;
  readonly targetIsr?: readonly number[];
  readonly targetReplicas?: readonly number[];
  readonly targetAdding?: readonly number[];
  readonly targetRemoving?: readonly number[];
  /** What the leader says of its recovery (KIP-704). */
  readonly targetLeaderRecoveryState?: number;
  /** Where a replica lies by its broker's own word (KIP-858). */
  readonly targetDirectory?: { readonly replica: number; readonly directory: Uuid };
  /** Replicas that stopped without having synced: what they had may be gone. */
  readonly uncleanReplicas?: readonly number[];
}

interface Targets {
  isr: readonly number[];
  replicas: readonly number[];
  adding: readonly number[];
  removing: readonly number[];
  elr: readonly number[];
  /** -2: nobody new. */
  leader: number;
  leaderRecoveryState: number;
  isUncleanElection: boolean;
}

/** A partition change record with its changes only; null where nothing changes. */
export function partitionChange(input: PartitionChangeInput): MetadataRecordInit | null {
  const { partition } = input;
  const target: Targets = {
    isr: input.targetIsr ?? partition.isr,
    replicas: input.targetReplicas ?? partition.replicas,
    adding: input.targetAdding ?? partition.addingReplicas,
    removing: input.targetRemoving ?? partition.removingReplicas,
    elr: partition.elr,
    leader: leaderUnchanged,
    leaderRecoveryState: input.targetLeaderRecoveryState ?? partition.leaderRecoveryState,
    isUncleanElection: false,
  };
  completeReassignment(target);
  collectEligible(input, target);
  elect(input, target);
  const value = changeRecord(input, target);
  return value === null
    ? null
    : { type: "PartitionChangeRecord", version: partitionChangeVersion(input.metadataVersion), value };
}

/** Once all replicas that are to stay are in sync, the others go. */
function completeReassignment(target: Targets): void {
  if (target.adding.length === 0 && target.removing.length === 0) return;
  const isr = target.isr.filter((replica) => !target.removing.includes(replica));
  const replicas = target.replicas.filter((replica) => !target.removing.includes(replica));
  if (isr.length === 0 || replicas.length === 0) return;
  if (!target.adding.every((replica) => isr.includes(replica))) return;
  target.isr = isr;
  target.replicas = replicas;
  target.adding = [];
  target.removing = [];
}

/** Who leaves the ISR while it is below its floor keeps all that was committed: the high watermark cannot move without them. */
function collectEligible(input: PartitionChangeInput, target: Targets): void {
  if (!input.isElrEnabled) return;
  if (target.isr.length >= Math.min(input.minInsyncReplicas, target.replicas.length)) {
    target.elr = [];
    return;
  }
  const candidates = new Set([...target.elr, ...input.partition.isr]);
  const unclean = input.uncleanReplicas ?? [];
  target.elr = [...candidates].filter((replica) => !target.isr.includes(replica) && !unclean.includes(replica));
}

function elect(input: PartitionChangeInput, target: Targets): void {
  const { partition } = input;
  const [leader, isUnclean] = electedLeader(input, target);
  if (leader === partition.leader) return;
  target.leader = leader;
  if (target.elr.includes(leader)) {
    target.isr = [leader];
    target.elr = target.elr.filter((replica) => replica !== leader);
  }
  if (!isUnclean) return;
  // What others have may differ from what this one has: nobody else is in sync until they have truncated.
  target.isUncleanElection = true;
  target.isr = [leader];
  target.leaderRecoveryState = leaderRecovering;
}

function electedLeader(input: PartitionChangeInput, target: Targets): readonly [leader: number, isUnclean: boolean] {
  const { partition, election } = input;
  const isValid = (replica: number): boolean =>
    (target.isr.includes(replica) || (input.isElrEnabled && target.elr.includes(replica))) && input.mayLead(replica);
  if (election === "preferred" && isValid(target.replicas[0] ?? leaderNone)) return [target.replicas[0]!, false];
  if (isValid(partition.leader)) return [partition.leader, false];
  const online = target.replicas.find(isValid);
  if (online !== undefined) return [online, false];
  const lastLeader = lastKnownLeader(input, target);
  if (lastLeader !== null) return [lastLeader, true];
  if (election === "unclean") {
    const anyone = target.replicas.find(input.mayLead);
    if (anyone !== undefined) return [anyone, true];
  }
  return [leaderNone, false];
}

/** When nobody is in sync or eligible, the one that led last is the best there is. */
function lastKnownLeader(input: PartitionChangeInput, target: Targets): number | null {
  if (!input.isElrEnabled || target.isr.length > 0 || target.elr.length > 0) return null;
  const [last, ...others] = input.partition.lastKnownElr;
  return last !== undefined && others.length === 0 && input.mayLead(last) ? last : null;
}

function changeRecord(input: PartitionChangeInput, target: Targets): PartitionChangeRecordInit | null {
  const { partition } = input;
  const changes: Mutable<PartitionChangeRecordInit> = { topicId: input.topicId, partitionId: input.partitionId };
  const fixed = Object.keys(changes).length;
  if (target.leader !== leaderUnchanged) changes.leader = target.leader;
  const mayBeEmpty = target.isr.length > 0 || input.isElrEnabled;
  if (mayBeEmpty && !sameList(target.isr, partition.isr)) changes.isr = target.isr;
  setEligible(input, target, changes);
  if (!sameList(target.replicas, partition.replicas)) changes.replicas = target.replicas;
  if (!sameList(target.removing, partition.removingReplicas)) changes.removingReplicas = target.removing;
  if (!sameList(target.adding, partition.addingReplicas)) changes.addingReplicas = target.adding;
  if (target.leaderRecoveryState !== partition.leaderRecoveryState) {
    changes.leaderRecoveryState = target.leaderRecoveryState;
  }
  bumpLeaderEpoch(input, target, changes);
  setDirectories(input, target, changes);
  return Object.keys(changes).length === fixed ? null : changes;
}

function setDirectories(
  input: PartitionChangeInput,
  target: Targets,
  changes: Mutable<PartitionChangeRecordInit>,
): void {
  if (input.metadataVersion < metadataVersions.directories) return;
  const { partition, targetDirectory } = input;
  const directories = target.replicas.map((replica) => {
    if (replica === targetDirectory?.replica) return targetDirectory.directory;
    const index = partition.replicas.indexOf(replica);
    return index < 0 ? input.directoryOf(replica) : partition.directories[index]!;
  });
  const isMoved = directories.some((directory, index) => directory !== partition.directories[index]);
  if (changes.replicas !== undefined || isMoved) changes.directories = directories;
}

type Mutable<Fields> = { -readonly [Name in keyof Fields]: Fields[Name] };

function setEligible(input: PartitionChangeInput, target: Targets, changes: Mutable<PartitionChangeRecordInit>): void {
  const { partition } = input;
  const elr = target.isUncleanElection || !input.isElrEnabled ? [] : target.elr;
  if (!sameList(elr, partition.elr)) changes.eligibleLeaderReplicas = elr;
  if (!input.isElrEnabled) return;
  const leader = target.leader === leaderUnchanged ? partition.leader : target.leader;
  if (changes.isr?.length === 0 && !sameList(partition.lastKnownElr, [partition.leader])) {
    // Only the first time: later the partition has no leader to remember.
    if (partition.leader !== leaderNone) changes.lastKnownElr = [partition.leader];
  } else if (leader !== leaderNone && partition.lastKnownElr.length > 0) {
    changes.lastKnownElr = [];
  }
}

/** A replica that is out must learn of it from a new epoch; until 3.6-IV0 one that left the ISR too. */
function bumpLeaderEpoch(
  input: PartitionChangeInput,
  target: Targets,
  changes: Mutable<PartitionChangeRecordInit>,
): void {
  const { partition } = input;
  if (target.leader !== leaderUnchanged || partition.leader === leaderNone) return;
  const lost = (before: readonly number[], after: readonly number[]): boolean =>
    before.some((replica) => !after.includes(replica));
  const isReplicaLost = lost(partition.replicas, target.replicas);
  const isIsrLost =
    input.metadataVersion < metadataVersions.noEpochBumpOnIsrShrink &&
    changes.isr !== undefined &&
    lost(partition.isr, target.isr);
  if (isReplicaLost || isIsrLost) changes.leader = partition.leader;
}

function sameList(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((element, index) => element === other[index]);
}
