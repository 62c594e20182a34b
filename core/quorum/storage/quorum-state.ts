// quorum-state: the epoch, its leader and this node's vote. Written whole and synced before a vote or a leadership counts. Kafka's JSON.
import { type Disk, type Uuid, uuidZero } from "../../base/index.ts";

export const quorumStateName = "quorum-state";
/** Some hundred bytes; a list of voters makes it longer. */
const quorumStateBytesMax = 64 * 1024;

export interface QuorumState {
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly votedId: number;
  /** With kraft.version 1. */
  readonly votedDirectoryId: Uuid | null;
  /** With kraft.version 0, which keeps the voters here. */
  readonly voterIds: readonly number[] | null;
}

export type QuorumStateOutcome =
  | { readonly kind: "read"; readonly state: QuorumState }
  | { readonly kind: "missing" }
  | { readonly kind: "damaged"; readonly problem: string };

export function readQuorumState(disk: Disk, metadataPath: string): QuorumStateOutcome {
  const path = `${metadataPath}/${quorumStateName}`;
  if (disk.status(path) === null) return { kind: "missing" };
  return parseQuorumState(disk.readFile(path, quorumStateBytesMax));
}

export function parseQuorumState(bytes: Buffer): QuorumStateOutcome {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString("utf8"));
  } catch {
    return { kind: "damaged", problem: "it is not JSON" };
  }
  if (typeof json !== "object" || json === null) return { kind: "damaged", problem: "it is not a JSON object" };
  const fields = json as Record<string, unknown>;
  const version = fields.data_version;
  if (version !== 0 && version !== 1) return { kind: "damaged", problem: `data_version ${version} is not 0 or 1` };
  for (const name of ["leaderId", "leaderEpoch", "votedId"]) {
    if (!Number.isInteger(fields[name])) return { kind: "damaged", problem: `${name} is ${fields[name]}` };
  }
  const voters = Array.isArray(fields.currentVoters) ? (fields.currentVoters as { voterId: number }[]) : null;
  return {
    kind: "read",
    state: {
      leaderId: fields.leaderId as number,
      leaderEpoch: fields.leaderEpoch as number,
      votedId: fields.votedId as number,
      votedDirectoryId: typeof fields.votedDirectoryId === "string" ? (fields.votedDirectoryId as Uuid) : null,
      voterIds: voters?.map((voter) => voter.voterId) ?? null,
    },
  };
}

/** kraft.version decides the form: 0 as Kafka before 3.9 wrote it, 1 with the directory that was voted for. */
export function formatQuorumState(state: QuorumState, kraftVersion: number): string {
  const { leaderId, leaderEpoch, votedId } = state;
  if (kraftVersion === 0) {
    const currentVoters = (state.voterIds ?? []).map((voterId) => ({ voterId }));
    return JSON.stringify({
      clusterId: "",
      ...{ leaderId, leaderEpoch, votedId },
      ...{ appliedOffset: 0, currentVoters, data_version: 0 },
    });
  }
  const votedDirectoryId = state.votedDirectoryId ?? uuidZero;
  return JSON.stringify({ leaderId, leaderEpoch, votedId, votedDirectoryId, data_version: 1 });
}

export function writeQuorumState(disk: Disk, metadataPath: string, state: QuorumState, kraftVersion: number): void {
  disk.writeFileAtomic(`${metadataPath}/${quorumStateName}`, Buffer.from(formatQuorumState(state, kraftVersion)));
}
