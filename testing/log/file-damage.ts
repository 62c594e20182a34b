// Damage to the files of a log directory, at every place: cut at each byte, sectors that read as zeros or as older bytes, single bits flipped. The
// log must start and serve nothing damaged as good; what lies before the damage must be there.
import { seededRandom } from "@blumfeld/core/base";
import { codecById } from "@blumfeld/core/compression";
import { LogManager, logConfigDefaults, type PartitionLog } from "@blumfeld/core/log";
import {
  batchDamage,
  batchHeaderBytes,
  controlKey,
  endTxnMarkerValue,
  iterateBatches,
  type Offset,
  partitionIndexOf,
  RecordBatchBuilder,
} from "@blumfeld/core/model";
import { MemoryDisk } from "@blumfeld/host/disk";
import { manualTimers, quietLogger } from "./fixtures.ts";

const nowMs = 1_700_000_000_000;
const directory = "/logs";
const folder = `${directory}/topic-0`;
const place = { topic: "topic", partition: partitionIndexOf(0) };
const segmentBytes = 70_000;

interface SubjectBatch {
  readonly base: number;
  readonly position: number;
  /** The base offset of its segment. */
  readonly segment: number;
  readonly bytes: Buffer;
}

/** A directory of a broker that was killed, and what its log held. */
export interface DamageSubject {
  readonly files: ReadonlyMap<string, Buffer>;
  /** Of the segment that was written to last. */
  readonly activeBase: number;
  /** In the order of offsets, with the bytes of each. */
  readonly batches: readonly SubjectBatch[];
  readonly byBase: ReadonlyMap<number, SubjectBatch>;
}

export interface DamageReport {
  readonly cases: number;
  readonly findings: readonly string[];
}

function managerOn(disk: MemoryDisk): Promise<LogManager> {
  return LogManager.open({
    disk,
    clock: { wallMs: () => nowMs, monotonicMs: () => 0 },
    timers: manualTimers(),
    random: seededRandom(1),
    logger: quietLogger,
    directories: [directory],
    configOf: () => ({ ...logConfigDefaults, segmentBytes, indexIntervalBytes: 1000 }),
  });
}

/** Two segments of each sort of batch, the second about 64 KiB long. */
export async function makeDamageSubject(seed: number): Promise<DamageSubject> {
  const random = seededRandom(seed);
  const disk = new MemoryDisk();
  const manager = await managerOn(disk);
  const log = manager.getOrCreate(place, { topicId: "AAAAAAAAAAAAAAAAAAAAAg" as never });
  let transaction = 0;
  const sequences = new Map<number, number>();
  while (log.segmentCount < 2 || log.sizeBytes < segmentBytes + 64 * 1024 + 500) {
    const producerId = random.below(3) === 0 ? 7 : -1;
    if (producerId === 7 && random.below(4) === 0 && transaction > 0) {
      const builder = new RecordBatchBuilder();
      builder.append(nowMs, controlKey("abort"), endTxnMarkerValue(0));
      log.append(builder.build({ producerId, producerEpoch: 0, transactional: true, control: true }), {
        origin: "coordinator",
        leaderEpoch: 3,
        nowMs,
      });
      transaction = 0;
      continue;
    }
    const builder = new RecordBatchBuilder();
    const count = 1 + random.below(5);
    for (let index = 0; index < count; index++)
      builder.append(nowMs + index, `key ${index}`, `value ${random.uint32()} `.repeat(random.below(20)));
    const baseSequence = sequences.get(producerId) ?? 0;
    sequences.set(producerId, baseSequence + count);
    transaction += producerId === 7 ? 1 : 0;
    const producer = producerId < 0 ? {} : { producerId, producerEpoch: 0, baseSequence, transactional: true };
    log.append(builder.build({ compressor: codecById(random.below(5))!, ...producer }), {
      origin: "client",
      leaderEpoch: 3,
      nowMs,
    });
    log.writePending();
  }
  log.writeEpochs();
  log.flush();
  for (const segment of log.forCleaner.segments) segment.indexes.write();
  manager.checkpointTick();
  manager.highWatermarkTick();
  const batches = log.forCleaner.segments.flatMap((segment) => {
    const bytes = Buffer.alloc(segment.writtenBytes);
    segment.log.read(bytes, 0);
    return Array.from(iterateBatches(bytes), (batch) => ({
      base: batch.baseOffset as number,
      position: batch.position,
      segment: segment.baseOffset as number,
      bytes: batch.bytes,
    }));
  });
  const files = new Map<string, Buffer>();
  const collect = (path: string): void => {
    for (const { name, isDirectory } of disk.listDirectory(path)) {
      if (isDirectory) collect(`${path}/${name}`);
      else if (name !== ".lock") files.set(`${path}/${name}`, disk.readFile(`${path}/${name}`));
    }
  };
  collect(directory);
  files.set(`${directory}/cleaner-offset-checkpoint`, Buffer.from("0\n1\ntopic 0 12\n"));
  return {
    files,
    activeBase: log.forCleaner.active.baseOffset,
    batches,
    byBase: new Map(batches.map((batch) => [batch.base, batch])),
  };
}

/** Opens the directory with one file changed. `recheck`: as if no recovery point were known, so that every batch is looked at. */
async function openDamaged(
  subject: DamageSubject,
  path: string,
  bytes: Buffer,
  recheck: boolean,
): Promise<PartitionLog> {
  const disk = new MemoryDisk();
  disk.makeDirectory(folder);
  for (const [name, content] of subject.files) {
    if (recheck && name.endsWith("recovery-point-offset-checkpoint") && name !== path) continue;
    disk.writeFileAtomic(name, name === path ? bytes : content);
  }
  const manager = await managerOn(disk);
  return manager.getOrCreate(place, { topicId: null });
}

/** What a consumer gets, reading on past nothing that is damaged. `stopsAtDamage`: a client sees the checksum and stops there. */
function served(log: PartitionLog): { batches: { base: number; bytes: Buffer }[]; damage: string | null } {
  const batches: { base: number; bytes: Buffer }[] = [];
  let offset: number = log.logStartOffset;
  for (;;) {
    const outcome = log.read(offset as Offset, { bytesMax: 1 << 20, upTo: log.logEndOffset, minOneBatch: true });
    if (outcome.kind !== "slice") return { batches, damage: null };
    const bytes = Buffer.alloc(outcome.sizeBytes);
    outcome.file.read(bytes, outcome.position);
    const from = offset;
    for (const batch of iterateBatches(bytes)) {
      const damage = batchDamage(bytes, batch.position);
      if (damage !== null) return { batches, damage };
      batches.push({ base: batch.baseOffset, bytes: batch.bytes });
      offset = batch.lastOffset + 1;
    }
    // A client that gets no whole batch, or one that does not go on, gives up: it never takes such bytes for records.
    if (offset <= from) return { batches, damage: "no way on" };
  }
}

async function findingOf(
  subject: DamageSubject,
  path: string,
  bytes: Buffer,
  recheck: boolean,
  /** Every batch of the damaged segment that ends before this position is still to be there. */
  intactTo: number,
): Promise<string | null> {
  const log = await openDamaged(subject, path, bytes, recheck);
  const { batches, damage } = served(log);
  const isLog = path.endsWith(".log");
  if (damage !== null && (recheck || !isLog)) return `serves a damaged batch: ${damage}`;
  const { byBase: wanted } = subject;
  for (const { base, bytes: got } of batches) {
    const original = wanted.get(base);
    // The base offset and the epoch are outside the checksum, in Kafka's format as it is.
    if (original === undefined || !original.bytes.subarray(16).equals(got.subarray(16)))
      if (!isOffsetFlip(subject, got)) return `serves at offset ${base} what was not written there`;
  }
  const damagedBase = isLog ? Number(path.slice(path.lastIndexOf("/") + 1, -4)) : Number.POSITIVE_INFINITY;
  const have = new Set(batches.map(({ base }) => base));
  for (const batch of subject.batches) {
    if (batch.segment > damagedBase) continue;
    if (batch.segment === damagedBase && batch.position + batch.bytes.length > intactTo) continue;
    if (!have.has(batch.base)) return `offset ${batch.base}, before the damage, is gone`;
  }
  return null;
}

/** The records are as they were, under another offset. */
function isOffsetFlip(subject: DamageSubject, got: Buffer): boolean {
  return subject.batches.some(
    ({ bytes }) => bytes.length === got.length && bytes.subarray(16).equals(got.subarray(16)),
  );
}

class Findings {
  cases = 0;
  readonly findings: string[] = [];

  async note(name: string, work: Promise<string | null>): Promise<void> {
    this.cases++;
    const finding = await work.catch((error: unknown) => `throws ${(error as Error).stack?.slice(0, 300)}`);
    if (finding !== null && this.findings.length < 20) this.findings.push(`${name}: ${finding}`);
  }
}

/** Cuts each file at every `stride`-th byte of its last 64 KiB, and where batches or entries end. */
export async function cutEverywhere(subject: DamageSubject, stride: number): Promise<DamageReport> {
  const found = new Findings();
  for (const [path, bytes] of subject.files) {
    // The rest of the log is dropped behind a cut segment, which is what a start does; only the last one may be cut by a crash.
    if (path.endsWith(".log") && !path.endsWith(`${subject.activeBase}.log`)) continue;
    const step = bytes.length < 2000 ? Math.min(stride, 3) : stride;
    for (let at = Math.max(0, bytes.length - 64 * 1024); at < bytes.length; at += step)
      await found.note(`${path} cut at ${at}`, findingOf(subject, path, bytes.subarray(0, at), true, at));
  }
  return found;
}

/** Every 512-byte sector of each file read as zeros, or as the sector before it. */
export async function staleSectors(subject: DamageSubject, stride: number): Promise<DamageReport> {
  const found = new Findings();
  for (const [path, bytes] of subject.files) {
    for (let at = 0; at < bytes.length; at += 512 * stride) {
      for (const how of ["zeros", "old"] as const) {
        const damaged = Buffer.from(bytes);
        if (how === "zeros") damaged.fill(0, at, Math.min(at + 512, bytes.length));
        else bytes.copy(damaged, at, Math.max(at - 512, 0), at);
        const recheck = path.endsWith(".log") || found.cases % 2 === 0;
        await found.note(`${path} sector ${at / 512} ${how}`, findingOf(subject, path, damaged, recheck, at));
      }
    }
  }
  return found;
}

/** One bit of one file each time, with a start that checks everything and one that trusts what was flushed. */
export async function flipBits(subject: DamageSubject, count: number, seed: number): Promise<DamageReport> {
  const found = new Findings();
  const random = seededRandom(seed);
  const files = [...subject.files];
  const totalBytes = files.reduce((sum, [, { length }]) => sum + length, 0);
  for (let index = 0; index < count; index++) {
    // Half of them anywhere, half in a file of each kind alike: checkpoints are small.
    const [path, bytes] =
      index % 2 === 1 ? files[random.below(files.length)]! : fileAt(files, random.below(totalBytes));
    if (bytes.length === 0) continue;
    const position = random.below(bytes.length);
    const damaged = Buffer.from(bytes);
    damaged[position]! ^= 1 << random.below(8);
    const intactTo = path.endsWith(".log") ? batchStart(subject, path, position) : 0;
    const recheck = index % 4 < 2;
    const name = `${path} byte ${position} of ${bytes.length}, seed ${seed}, case ${index}`;
    await found.note(name, findingOf(subject, path, damaged, recheck, recheck ? intactTo : 0));
  }
  return found;
}

/** The file that holds the byte `at` of all files joined. */
function fileAt(files: readonly (readonly [string, Buffer])[], at: number): readonly [string, Buffer] {
  let before = 0;
  for (const file of files) {
    before += file[1].length;
    if (at < before) return file;
  }
  return files[0]!;
}

function batchStart(subject: DamageSubject, path: string, position: number): number {
  const segment = Number(path.slice(path.lastIndexOf("/") + 1, -4));
  const holder = subject.batches.findLast((batch) => batch.segment === segment && batch.position <= position);
  return holder?.position ?? batchHeaderBytes;
}
