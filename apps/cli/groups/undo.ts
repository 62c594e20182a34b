// What a reset took away, so that `--undo` brings it back: from another shell, another day, another machine, of a group of any Kafka cluster.
// It is kept where the group itself is: as committed offsets of a second group, `blum.undo.<group>`, one for each partition that was moved, with
// what the group had committed there. The cluster keeps it as long as it keeps offsets of empty groups (offsets.retention.minutes).
//
//   offset     what was committed; where nothing was, what was committed instead
//   metadata   `blum-undo 1 <kept|none> <when, ms>`, a line's end, and the metadata that was committed
import type { Admin, GroupOffset, NewGroupOffset } from "@blumfeld/client";
import { CliFailure } from "../failure.ts";
import type { Place } from "./offsets.ts";

export const undoGroupPrefix = "blum.undo.";

export interface Before extends Place {
  /** -1: nothing was committed. */
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

const form = /^blum-undo 1 (kept|none) (\d+)\n/;

export function undoGroupOf(groupId: string): string {
  return undoGroupPrefix + groupId;
}

/** Puts this in place of what was kept before. Throws where it cannot be kept: then the group must not be moved. */
export async function keepBefore(
  admin: Admin,
  groupId: string,
  before: readonly (GroupOffset & { readonly to: number })[],
  nowMs: number,
): Promise<void> {
  const undoGroup = undoGroupOf(groupId);
  const [deleted] = await admin.deleteGroups([undoGroup]);
  if (deleted!.error !== null && deleted!.error.code !== "GROUP_ID_NOT_FOUND")
    throw cannotKeep(groupId, deleted!.error);
  const offsets = before.map(({ leaderEpoch, metadata, offset, partition, to, topic }): NewGroupOffset => {
    const isKept = offset >= 0;
    const head = `blum-undo 1 ${isKept ? "kept" : "none"} ${nowMs}\n`;
    return {
      ...{ topic, partition, leaderEpoch },
      offset: isKept ? offset : to,
      metadata: head + (isKept ? (metadata ?? "") : ""),
    };
  });
  const results = await admin.alterGroupOffsets(undoGroup, offsets);
  const failed = results.find(({ error }) => error !== null);
  if (failed !== undefined) throw cannotKeep(groupId, failed.error!);
}

function cannotKeep(groupId: string, error: Error): CliFailure {
  return new CliFailure(
    `group ${groupId} was not moved, since what it has committed cannot be kept in ${undoGroupOf(groupId)}: ${error.message}`,
    "allow reading that group, or reset with --no-undo",
  );
}

/** What the last reset took away, and when that was. */
export async function keptBefore(
  admin: Admin,
  groupId: string,
): Promise<{ readonly atMs: number; readonly before: readonly Before[] }> {
  const kept = await admin.listGroupOffsets(undoGroupOf(groupId));
  let atMs = 0;
  const before = kept.flatMap(({ leaderEpoch, metadata, offset, partition, topic }): Before[] => {
    const match = form.exec(metadata ?? "");
    if (match === null) return [];
    atMs = Math.max(atMs, Number(match[2]));
    const was = match[1] === "kept" ? offset : -1;
    return [{ topic, partition, leaderEpoch, offset: was, metadata: metadata!.slice(match[0].length) }];
  });
  if (before.length > 0) return { atMs, before };
  throw new CliFailure(
    `nothing is kept that a reset of group ${groupId} could be undone by`,
    `it is kept in the group ${undoGroupOf(groupId)} for as long as the cluster keeps offsets (offsets.retention.minutes)`,
  );
}
