// Puts a cleaned segment into the place of those that it was made from, so that a crash at any step leaves either them or it:
//
//   1. N.log.cleaned … are written and synced.                           A start removes them.
//   2. They are renamed `.swap`, batches first; the folder is synced.    While a `.cleaned` is left, a start removes both; after that it goes on.
//   3. What they replace is renamed `.deleted`; the folder is synced.    A start removes what the `.swap` covers, and renames it.
//   4. `.swap` is taken off, the folder synced.
//
// The sync between 3 and 4 is for several originals: the new segment under its own name beside one of them would double offsets.
import { DiskError } from "../../base/index.ts";
import { fileSuffix } from "../file-names.ts";
import type { LogState } from "../log-state.ts";
import { noteFailure } from "../pending-writes.ts";
import type { Segment } from "../segment.ts";

/** `cleaned` has been written, closed and synced. Throws DiskError: then the originals are in force, or the directory is offline. */
export function swapSegments(state: LogState, cleaned: Segment, originals: readonly Segment[]): void {
  const { disk } = state.environment;
  try {
    cleaned.changeSuffix(fileSuffix.swap);
    disk.syncDirectory(state.folder);
  } catch (error) {
    discardSegment(state, cleaned);
    throw error;
  }
  try {
    finishSwap(state, cleaned, originals);
  } catch (error) {
    // Half done, so no refusal passes: the next start completes it.
    if (error instanceof DiskError) {
      noteFailure(state, error);
      if (!state.isOffline) {
        state.isOffline = true;
        state.environment.onStorageFailure(state.directory, error);
      }
    }
    throw error;
  }
}

function finishSwap(state: LogState, cleaned: Segment, originals: readonly Segment[]): void {
  const { disk } = state.environment;
  const first = state.segments.indexOf(originals[0]!);
  state.segments = state.segments.toSpliced(first, originals.length, cleaned);
  const paths: string[] = [];
  for (const original of originals) {
    paths.push(...original.renameDeleted());
    const snapshot = original.baseOffset === cleaned.baseOffset ? -1 : state.snapshots.indexOf(original.baseOffset);
    if (snapshot >= 0) paths.push(state.renameSnapshotDeleted(state.snapshots.splice(snapshot, 1)[0]!));
  }
  if (originals.length > 1) disk.syncDirectory(state.folder);
  cleaned.changeSuffix("");
  disk.syncDirectory(state.folder);
  state.removeLater(paths, originals);
}

/** Removes what was written of a segment that is not wanted any more. */
export function discardSegment(state: LogState, cleaned: Segment): void {
  const { disk } = state.environment;
  try {
    const paths = cleaned.filePaths();
    cleaned.release();
    cleaned.indexes.forget();
    for (const path of paths) disk.removeFile(path);
  } catch (error) {
    // What stays is removed by the next start.
    if (!(error instanceof DiskError)) throw error;
  }
}
