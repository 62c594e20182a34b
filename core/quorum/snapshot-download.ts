// Fetches one snapshot from the leader in pieces (KIP-630). The file has its name only when it is whole, read through once and synced; then
// the log begins where it ends, and the listeners begin anew with it.
import { DiskError, type DiskFile, MalformedMessage } from "../base/index.ts";
import { clusterMetadataTopic, type Offset } from "../model/index.ts";
import { ApiKey, ErrorCode, type FetchSnapshotResponse } from "../protocol/index.ts";
import type { SnapshotId } from "./metadata-quorum.ts";
import type { QuorumCore } from "./quorum-core.ts";
import { loadSnapshot } from "./quorum-loader.ts";
import { Follower } from "./roles/follower.ts";
import { snapshotFileName, snapshotPartSuffix, snapshotSuffix } from "./snapshot-id.ts";
import { readSnapshot, SnapshotDamaged } from "./snapshot-reader.ts";

/** A leader that names more is not believed: a million partitions take some hundred MiB. */
export const fetchedSnapshotBytesMax = 64 * 1024 * 1024 * 1024;

interface DownloadOptions {
  /** Whether it is still what the fetcher does. */
  readonly isCurrent: () => boolean;
  readonly whenIdle: (work: () => void) => void;
  readonly onEnd: (isInstalled: boolean) => void;
}

type PartitionAnswer = FetchSnapshotResponse["topics"][number]["partitions"][number];

export class SnapshotDownload {
  private readonly core: QuorumCore;
  private readonly id: SnapshotId;
  private readonly options: DownloadOptions;
  private readonly path: string;
  private readonly partPath: string;
  private file: DiskFile | null = null;
  private position = 0;

  constructor(core: QuorumCore, id: SnapshotId, options: DownloadOptions) {
    this.core = core;
    this.id = id;
    this.options = options;
    this.path = `${core.log.path}/${snapshotFileName(id)}`;
    this.partPath = this.path.slice(0, -snapshotSuffix.length) + snapshotPartSuffix;
  }

  /** Throws DiskError. */
  begin(): void {
    const { disk, logger } = this.core.options;
    logger.info({ snapshot: snapshotFileName(this.id) }, "a snapshot of the metadata is fetched");
    if (disk.status(this.partPath) !== null) disk.removeFile(this.partPath);
    this.file = disk.open(this.partPath, "create");
    this.ask();
  }

  /** Its file goes; a piece that is on its way is not taken any more. */
  abandon(): void {
    const { file } = this;
    if (file === null) return;
    this.file = null;
    file.close();
    const { disk } = this.core.options;
    try {
      if (disk.status(this.partPath) !== null) disk.removeFile(this.partPath);
    } catch (error) {
      // The next start removes it.
      if (!(error instanceof DiskError)) throw error;
    }
  }

  private ask(): void {
    const { core, id, position } = this;
    const { role } = core;
    if (!(role instanceof Follower)) return;
    const partition = {
      partition: 0,
      currentLeaderEpoch: core.epoch,
      snapshotId: id,
      position,
      replicaDirectoryId: core.options.directoryId,
    };
    core.ask(
      role.leaderPlace,
      ApiKey.FetchSnapshot,
      {
        clusterId: core.clusterId,
        replicaId: core.nodeId,
        maxBytes: core.settings.fetchSnapshotBytesMax,
        topics: [{ name: clusterMetadataTopic, partitions: [partition] }],
      },
      (response) => this.onResponse(response),
      () => this.giveUp(),
    );
  }

  private giveUp(): void {
    if (!this.options.isCurrent()) return;
    this.abandon();
    this.options.onEnd(false);
  }

  private onResponse(response: FetchSnapshotResponse): void {
    const { core } = this;
    const answer = response.topics[0]?.partitions[0];
    if (answer !== undefined) {
      core.observe(answer.currentLeader.leaderEpoch, answer.currentLeader.leaderId, response.nodeEndpoints);
    }
    if (!this.options.isCurrent()) return;
    const isGood = response.errorCode === ErrorCode.NONE && answer !== undefined && this.isNextPiece(answer);
    if (!isGood) {
      core.options.logger.warn(
        { snapshot: snapshotFileName(this.id), errorCode: answer?.errorCode ?? response.errorCode },
        "a piece of a snapshot cannot be used",
      );
      this.giveUp();
      return;
    }
    if (core.role instanceof Follower) core.role.onFetched();
    const bytes = answer.unalignedRecords as Buffer;
    this.file!.write([bytes], this.position);
    this.position += bytes.length;
    if (this.position < Number(answer.size)) this.ask();
    else this.finish();
  }

  private isNextPiece(answer: PartitionAnswer): boolean {
    const { id, position } = this;
    const bytes = answer.unalignedRecords as Buffer | null;
    const isSame = Number(answer.snapshotId.endOffset) === id.endOffset && answer.snapshotId.epoch === id.epoch;
    const size = Number(answer.size);
    return (
      answer.errorCode === ErrorCode.NONE &&
      isSame &&
      Number(answer.position) === position &&
      bytes !== null &&
      bytes.length > 0 &&
      size <= fetchedSnapshotBytesMax &&
      position + bytes.length <= size
    );
  }

  private finish(): void {
    const file = this.file!;
    const { core } = this;
    file.syncLater().then(
      () => {
        if (this.options.isCurrent()) this.options.whenIdle(() => this.install());
      },
      (error: unknown) => core.fail(error),
    );
  }

  /**
   * 1. The file gets its name. A crash from here on starts with it, and cuts the log itself.
   * 2. The log begins anew where it ends; so do the voters, and the listeners.
   */
  private install(): void {
    if (!this.options.isCurrent()) return;
    const { core, id } = this;
    const { disk } = core.options;
    if (!this.isWhole()) {
      this.giveUp();
      return;
    }
    this.file!.close();
    this.file = null;
    disk.rename(this.partPath, this.path);
    disk.syncDirectory(core.log.path);
    core.log.truncateFullyAndStartAt(id.endOffset as Offset);
    core.syncer.onTruncated(0);
    core.syncer.syncNow();
    core.log.setHighWatermark(id.endOffset as Offset);
    core.feed.jumpTo(id.endOffset);
    core.keeper.onFetched(id);
    loadSnapshot(disk, core.log, id, core.listeners, core.history);
    core.advance();
    this.options.onEnd(true);
  }

  private isWhole(): boolean {
    const { core } = this;
    try {
      for (const _ of readSnapshot(core.options.disk, this.partPath));
      return true;
    } catch (error) {
      if (!(error instanceof SnapshotDamaged) && !(error instanceof MalformedMessage)) throw error;
      core.options.logger.error(
        { snapshot: snapshotFileName(this.id), error: error.message },
        "a fetched snapshot is damaged",
      );
      return false;
    }
  }
}
