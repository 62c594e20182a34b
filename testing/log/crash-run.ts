// One random history of a log manager on a faulty disk, with several losses of power, from one seed: appends, rolls, flushes, compactions, retention,
// truncations and checkpoints, the power going at a random operation of the disk. After each loss a new manager must open the directory and hold
// what was promised:
//
//   - nothing that was flushed is missing: of a plain topic every record, of a compacted one the last of each key or a later one;
//   - whatever is served is a record that was appended there, byte for byte, in batches whose checksums are right, offsets rising;
//   - the log takes appends again.
import { DiskError, seededRandom } from "@blumfeld/core/base";
import { readBatchRecords } from "@blumfeld/core/compression";
import { type LogConfig, LogManager, logConfigDefaults, type PartitionLog } from "@blumfeld/core/log";
import { batchDamage, iterateBatches, type Offset, partitionIndexOf, RecordBatchBuilder } from "@blumfeld/core/model";
import type { LostWrites } from "../disk/faulty-content.ts";
import type { LostNames } from "../disk/faulty-directory.ts";
import { FaultyDisk } from "../disk/faulty-disk.ts";
import { manualTimers, quietLogger } from "./fixtures.ts";

interface Written {
  readonly key: string;
  readonly value: string;
}

class TopicModel {
  readonly name: string;
  /** By offset, the latest first: what a truncation took may come back as long as nothing was flushed in its place. */
  readonly written = new Map<number, Written[]>();
  /** Flushed up to here. */
  durable = 0;
  start = 0;
  /** Retention was under way: what lies below may be gone. */
  startMax = 0;

  constructor(name: string) {
    this.name = name;
  }

  note(offset: number, record: Written): void {
    const known = this.written.get(offset) ?? [];
    this.written.set(offset, [record, ...known]);
  }
}

interface Served extends Written {
  readonly offset: number;
}

export interface CrashRunReport {
  readonly lives: number;
  readonly appended: number;
  readonly compactions: number;
}

const directory = "/logs";
const small: Partial<LogConfig> = { segmentBytes: 1200, indexIntervalBytes: 150, fileDeleteDelayMs: 1000 };
const configs = {
  plain: { ...logConfigDefaults, ...small },
  compacted: {
    ...logConfigDefaults,
    ...small,
    cleanupPolicy: { delete: false, compact: true },
    minCleanableDirtyRatio: 0.1,
    // Tombstones are written and never removed: the last record of each key is then always there.
    deleteRetentionMs: 1e12,
  },
} satisfies Record<string, LogConfig>;

class CrashRun {
  readonly disk: FaultyDisk;
  readonly random: ReturnType<typeof seededRandom>;
  readonly models = [new TopicModel("plain"), new TopicModel("compacted")];
  nowMs = 1_700_000_000_000;
  appended = 0;
  compactions = 0;
  private manager: LogManager | null = null;
  private valueCount = 0;
  /** Retention has deleted segments in this life. */
  private hasRetained = false;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.disk = new FaultyDisk({ seed: seed ^ 0x5eed, wallMs: () => this.nowMs });
    this.disk.makeDirectory(directory);
    this.disk.syncDirectory("/");
  }

  async live(): Promise<void> {
    await this.open();
    this.disk.stopAfter(1 + this.random.below(400));
    try {
      for (let step = 0; step < 80 && !this.disk.hasStopped; step++) await this.step();
    } catch (error) {
      if (!(error instanceof DiskError) || !this.disk.hasStopped) throw error;
    }
    const writes: LostWrites[] = ["all", "tail", "any", "any", "none"];
    const names: LostNames[] = ["all", "tail", "any", "any", "none"];
    await this.manager!.cleaner.stop();
    // Deletions of a file each, half of them forgotten, leave a hole that no rule tells from a lost write; journals keep their order.
    const lost = this.pick(names);
    this.disk.crash({ writes: this.pick(writes), names: lost === "any" && this.hasRetained ? "tail" : lost });
    this.hasRetained = false;
    await this.open();
    for (const model of this.models) this.check(model);
    await this.reopenCleanly();
    // The process alone dies.
    this.disk.crash();
  }

  private pick<T>(of: readonly T[]): T {
    return of[this.random.below(of.length)]!;
  }

  private async open(): Promise<void> {
    this.manager = await LogManager.open({
      disk: this.disk,
      clock: { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs },
      timers: manualTimers(),
      random: this.random,
      logger: quietLogger,
      directories: [directory],
      configOf: (topic) => (topic === "plain" ? configs.plain : configs.compacted),
    });
    for (const { name } of this.models) this.log(name);
  }

  private log(topic: string): PartitionLog {
    return this.manager!.getOrCreate({ topic, partition: partitionIndexOf(0) }, { topicId: null });
  }

  private async step(): Promise<void> {
    this.nowMs += this.random.below(50);
    const model = this.pick(this.models);
    const log = this.log(model.name);
    const dice = this.random.below(20);
    if (dice < 9) await this.append(model, log);
    else if (dice < 11) {
      log.roll();
      log.writePending();
    } else if (dice < 13) await (this.random.below(2) === 0 ? log.flush() : log.flushLater());
    else if (dice < 15) {
      const before = this.manager!.cleaner.figures.passCount;
      await this.manager!.cleanerTick();
      this.compactions += this.manager!.cleaner.figures.passCount - before;
    } else if (dice < 16) this.manager!.checkpointTick();
    else if (dice < 17) this.manager!.removalTick();
    else if (dice < 18 && model.name === "plain") this.retain(model, log);
    else if (dice < 19 && model.name === "plain") this.truncate(model, log);
    this.note(model, log);
  }

  private note(model: TopicModel, log: PartitionLog): void {
    if (!this.disk.hasStopped) model.durable = Math.max(model.durable, log.recoveryPoint);
  }

  private async append(model: TopicModel, log: PartitionLog): Promise<void> {
    for (let left = 1 + this.random.below(4); left > 0; left--) {
      const builder = new RecordBatchBuilder();
      const base = log.logEndOffset;
      const count = 1 + this.random.below(4);
      for (let index = 0; index < count; index++) {
        const record = { key: `key ${this.random.below(12)}`, value: `value ${this.valueCount++}`.padEnd(40, ".") };
        builder.append(this.nowMs, record.key, record.value);
        model.note(base + index, record);
      }
      log.append(builder.build(), { origin: "client", leaderEpoch: 0, nowMs: this.nowMs });
      this.appended += count;
    }
    if (this.random.below(3) === 0) await log.writePendingLater();
    else log.writePending();
    log.setHighWatermark(log.writtenEndOffset);
  }

  private retain(model: TopicModel, log: PartitionLog): void {
    log.updateConfig({ ...configs.plain, retentionBytes: 3000 + this.random.below(3000) });
    this.hasRetained = true;
    model.startMax = log.logEndOffset;
    log.deleteOldSegments(this.nowMs);
    model.start = model.startMax = Math.max(model.start, log.logStartOffset);
  }

  private truncate(model: TopicModel, log: PartitionLog): void {
    const { logEndOffset, logStartOffset } = log;
    let offset: number = logStartOffset + this.random.below(logEndOffset - logStartOffset + 1);
    // A cut inside a batch would take the whole of it.
    const bases = batchBases(log);
    while (offset > logStartOffset && offset < logEndOffset && !bases.has(offset)) offset--;
    model.durable = Math.min(model.durable, offset);
    log.truncateTo(offset as Offset);
  }

  private check(model: TopicModel): void {
    const log = this.log(model.name);
    const served = servedRecords(log);
    const fail = (message: string): never => {
      throw new Error(`${model.name}: ${message}`);
    };
    for (const { offset, key, value } of served) {
      const known = model.written.get(offset) ?? [];
      const allowed = offset < model.durable ? known.slice(0, 1) : known;
      if (!allowed.some((record) => record.key === key && record.value === value))
        fail(`offset ${offset} serves ${key}=${value.slice(0, 12)}, which was not written there last`);
    }
    if (model.name === "plain") {
      const offsets = new Set(served.map(({ offset }) => offset));
      for (let offset = model.startMax; offset < model.durable; offset++)
        if (model.written.has(offset) && !offsets.has(offset))
          fail(`offset ${offset} is gone, flushed was ${model.durable}`);
    } else {
      const last = new Map<string, number>();
      for (let offset = 0; offset < model.durable; offset++) {
        const record = model.written.get(offset)?.[0];
        if (record !== undefined) last.set(record.key, offset);
      }
      const found = new Map(served.map(({ key, offset }) => [key, offset]));
      for (const [key, offset] of last)
        if ((found.get(key) ?? -1) < offset) fail(`${key} of offset ${offset} is gone, flushed was ${model.durable}`);
    }
    // What was lost is as if it had never been; what is there was found whole and counts from now on.
    model.written.clear();
    for (const { offset, key, value } of served) model.written.set(offset, [{ key, value }]);
    model.durable = Math.min(model.durable, log.logEndOffset);
    model.start = model.startMax = log.logStartOffset;
  }

  /** A clean stop after a recovery must lead to the same records. */
  private async reopenCleanly(): Promise<void> {
    if (this.random.below(3) !== 0) return;
    const before = this.models.map(({ name }) => servedRecords(this.log(name)));
    await this.manager!.close({ brokerEpoch: 1 });
    await this.open();
    for (const [index, model] of this.models.entries()) {
      const after = servedRecords(this.log(model.name));
      if (JSON.stringify(after) !== JSON.stringify(before[index]))
        throw new Error(`${model.name}: a clean stop changed what is served`);
    }
    await this.manager!.close({ brokerEpoch: 1 });
  }
}

/** Reads the log as a consumer does, from its start to its end. Throws where a batch is damaged or out of order. */
export function servedRecords(log: PartitionLog): Served[] {
  const served: Served[] = [];
  let offset: number = log.logStartOffset;
  let next = 0;
  for (;;) {
    const outcome = log.read(offset as Offset, { bytesMax: 4096, upTo: log.logEndOffset, minOneBatch: true });
    if (outcome.kind !== "slice") break;
    const bytes = Buffer.alloc(outcome.sizeBytes);
    if (outcome.file.read(bytes, outcome.position) < bytes.length) throw new Error("a slice past the file's end");
    let count = 0;
    for (const batch of iterateBatches(bytes)) {
      const damage = batchDamage(bytes, batch.position);
      if (damage !== null) throw new Error(`a damaged batch is served at offset ${batch.baseOffset}: ${damage}`);
      if (batch.baseOffset < next) throw new Error(`offset ${batch.baseOffset} is served twice`);
      const records = readBatchRecords(batch, { outputBytesMax: 1 << 24 });
      if (!Array.isArray(records)) throw new Error(`records of offset ${batch.baseOffset}: ${records}`);
      for (const record of records) {
        if (record.offset >= log.logStartOffset)
          served.push({ offset: record.offset, key: String(record.key), value: String(record.value) });
      }
      offset = next = batch.lastOffset + 1;
      count++;
    }
    if (count === 0) throw new Error(`nothing whole at offset ${offset}`);
  }
  return served;
}

function batchBases(log: PartitionLog): ReadonlySet<number> {
  const bases = new Set<number>();
  for (let offset: number = log.logStartOffset; ; offset++) {
    const outcome = log.read(offset as Offset, { bytesMax: 1, upTo: log.logEndOffset, minOneBatch: true });
    if (outcome.kind !== "slice") return bases;
    bases.add(outcome.firstBatchOffset);
  }
}

/** Throws with what was promised and not held. */
export async function runCrashHistory(seed: number): Promise<CrashRunReport> {
  const run = new CrashRun(seed);
  const lives = 1 + run.random.below(4);
  for (let life = 0; life < lives; life++) await run.live();
  return { lives, appended: run.appended, compactions: run.compactions };
}
