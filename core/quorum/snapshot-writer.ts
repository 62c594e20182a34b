// Writes a snapshot: control batch (header, kraft.version, voters), batches of records, control batch (footer). Kafka's format, so that
// its tools and nodes read it. The file has its name only once it is whole and synced.
import type { Disk, DiskFile } from "../base/index.ts";
import { RecordBatchBuilder } from "../model/index.ts";
import {
  type ControlRecordInit,
  encodeControlRecord,
  encodeMetadataRecord,
  type MetadataRecordInit,
  type VotersRecordInit,
} from "../protocol/index.ts";
import type { SnapshotId, Voter } from "./metadata-quorum.ts";
import { snapshotFileName, snapshotPartSuffix, snapshotSuffix } from "./snapshot-id.ts";

/** Records in one batch of a snapshot, as Kafka writes them. */
export const snapshotBatchRecordCountMax = 1024;
/** A batch of a snapshot is ended once it is larger than this. */
const snapshotBatchBytesMax = 8 * 1024 * 1024;

export interface SnapshotHead {
  readonly id: SnapshotId;
  /** Of the last record that the snapshot contains; 0 where it contains none. */
  readonly lastContainedMs: number;
  readonly nowMs: number;
  /** Null with kraft.version 0: a snapshot then says nothing of voters. */
  readonly quorum: { readonly kraftVersion: number; readonly voters: readonly Voter[] } | null;
}

/** Called piece by piece, so that a large state is written over many turns. */
export class SnapshotWriter {
  private readonly disk: Disk;
  private readonly path: string;
  private readonly partPath: string;
  private readonly head: SnapshotHead;
  private readonly file: DiskFile;
  private readonly builder = new RecordBatchBuilder();
  private position = 0;
  private nextOffset = 0;

  constructor(disk: Disk, path: string, head: SnapshotHead, name: string = snapshotFileName(head.id)) {
    this.disk = disk;
    this.head = head;
    this.path = `${path}/${name}`;
    this.partPath = this.path.slice(0, -snapshotSuffix.length) + snapshotPartSuffix;
    if (disk.status(this.partPath) !== null) disk.removeFile(this.partPath);
    this.file = disk.open(this.partPath, "create");
    this.writeControl(this.headRecords());
  }

  private headRecords(): ControlRecordInit[] {
    const { lastContainedMs, quorum } = this.head;
    const records: ControlRecordInit[] = [
      { type: "SnapshotHeader", value: { version: 0, lastContainedLogTimestamp: BigInt(lastContainedMs) } },
    ];
    if (quorum !== null) records.push(...voterControlRecords(quorum.kraftVersion, quorum.voters));
    return records;
  }

  /** Takes up to one batch of records; false when there are no more. */
  writeSome(records: Iterator<MetadataRecordInit>): boolean {
    const { builder } = this;
    while (builder.recordCount < snapshotBatchRecordCountMax && builder.sizeBytes < snapshotBatchBytesMax) {
      const next = records.next();
      if (next.done === true) {
        this.writeBatch(false);
        return false;
      }
      builder.append(this.head.nowMs, null, encodeMetadataRecord(next.value));
    }
    this.writeBatch(false);
    return true;
  }

  /** Writes the footer, syncs, gives the file its name. */
  async finish(): Promise<void> {
    this.writeControl([{ type: "SnapshotFooter", value: { version: 0 } }]);
    await this.file.syncLater();
    this.publish();
  }

  finishNow(): void {
    this.writeControl([{ type: "SnapshotFooter", value: { version: 0 } }]);
    this.file.sync();
    this.publish();
  }

  private publish(): void {
    this.file.close();
    this.disk.rename(this.partPath, this.path);
    this.disk.syncDirectory(this.path.slice(0, this.path.lastIndexOf("/")));
  }

  abandon(): void {
    this.file.close();
    this.disk.removeFile(this.partPath);
  }

  private writeControl(records: readonly ControlRecordInit[]): void {
    appendControlRecords(this.builder, records, this.head.nowMs);
    this.writeBatch(true);
  }

  private writeBatch(control: boolean): void {
    const { builder } = this;
    const { recordCount } = builder;
    if (recordCount === 0) return;
    const bytes = builder.build({ baseOffset: this.nextOffset, leaderEpoch: this.head.id.epoch, control });
    this.file.write([bytes], this.position);
    this.position += bytes.length;
    this.nextOffset += recordCount;
  }
}

export function appendControlRecords(
  builder: RecordBatchBuilder,
  records: readonly ControlRecordInit[],
  nowMs: number,
): void {
  for (const record of records) {
    const { key, value } = encodeControlRecord(record);
    builder.append(nowMs, key, value);
  }
}

/** What a log or a snapshot of kraft.version 1 says of its voters. */
export function voterControlRecords(kraftVersion: number, voters: readonly Voter[]): ControlRecordInit[] {
  const value: VotersRecordInit = {
    version: 0,
    voters: voters.map((voter) => ({
      voterId: voter.id,
      voterDirectoryId: voter.directoryId!,
      endpoints: voter.endpoints,
      kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 },
    })),
  };
  return [
    { type: "KRaftVersion", value: { version: 0, kRaftVersion: kraftVersion } },
    { type: "Voters", value },
  ];
}

/** A snapshot in one go, for formatting and tests. */
export function writeSnapshotNow(
  disk: Disk,
  path: string,
  head: SnapshotHead,
  records: Iterable<MetadataRecordInit>,
  name?: string,
): void {
  const writer = new SnapshotWriter(disk, path, head, name);
  const iterator = records[Symbol.iterator]();
  while (writer.writeSome(iterator));
  writer.finishNow();
}
