// All partition logs of a broker: finds and opens them at start-up, makes and deletes them, and does for all of them what must be done from
// time to time. Ticks are methods that the timers call; each does a bounded amount of work and goes on in the next turn.
import { assert, DiskError, type TimerHandle, type Uuid } from "../base/index.ts";
import {
  clusterMetadataTopic,
  type Offset,
  type TopicPartition,
  type TopicPartitionKey,
  topicPartitionKey,
} from "../model/index.ts";
import { cleanerSettingsDefault, LogCleaner } from "./cleaner/log-cleaner.ts";
import { DelayedRemoval } from "./delayed-removal.ts";
import { type LogEnvironment, producerIdExpirationMsDefault } from "./environment.ts";
import { directoryFile, parsePartitionFolder, suffixedFolderName } from "./file-names.ts";
import { FirstSegmentFiles, firstFileDelayMs, firstFilesMsMax, firstFilesPauseMs } from "./first-segment-files.ts";
import { IndexCache, indexCacheBytesMaxDefault } from "./index-cache.ts";
import type { LogConfig } from "./log-config.ts";
import { LogDirectory, LogDirectoryProblem } from "./log-directory.ts";
import { createLog, type LoadOptions, loadLogSteps } from "./log-loader.ts";
import {
  type LogDirectoryStatus,
  type LogIntervals,
  type LogManagerOptions,
  logIntervalsDefault,
} from "./log-manager-options.ts";
import { closeLogs, listAhead, turnsBetween } from "./many-logs.ts";
import type { PartitionLog } from "./partition-log.ts";
import { ReplicaMove, takeOver } from "./replica-move.ts";

/** Logs that one step of a tick looks at; then other work has its turn. */
export const logsPerStepMax = 64;
/** How long opening logs at the start holds the loop, unless one log alone takes longer. */
export const loadMsMax = 50;
/** Files and folders that one step of the removal takes. */
export const removalsPerStepMax = 64;

export class LogManager {
  /** Compaction of these logs; its ticks come with `startTimers`. */
  readonly cleaner: LogCleaner;
  private readonly options: LogManagerOptions;
  private readonly environment: LogEnvironment;
  private readonly removal: DelayedRemoval;
  private readonly dirs: LogDirectory[];
  private readonly byKey = new Map<TopicPartitionKey, PartitionLog>();
  private readonly intervals: LogIntervals;
  private readonly moves = new Map<TopicPartitionKey, ReplicaMove>();
  /** Replicas that were on their way to another directory when the process ended. */
  private readonly halfMoved: { topicPartition: TopicPartition; directory: string; folder: string }[] = [];
  private readonly timerHandles = new Set<TimerHandle>();
  private readonly flushes = new Set<Promise<void>>();
  private isClosed = false;
  private readonly firstFiles: FirstSegmentFiles;

  /** Opens all directories and the logs in them. Rejects with LogDirectoryProblem or DiskError where a directory cannot be used. */
  static async open(options: LogManagerOptions): Promise<LogManager> {
    const manager = new LogManager(options);
    try {
      for (const directory of manager.dirs) await manager.attemptDirectory(directory, () => directory.open());
      for (const directory of manager.dirs)
        await manager.attemptDirectory(directory, () => manager.loadDirectory(directory));
      for (const directory of manager.dirs)
        await manager.attemptDirectory(directory, () => directory.removeCleanShutdownMark());
      await manager.resumeMoves();
    } catch (error) {
      for (const directory of manager.dirs) directory.release();
      throw error;
    }
    return manager;
  }

  private constructor(options: LogManagerOptions) {
    this.options = options;
    const { disk, clock, random, logger } = options;
    this.removal = new DelayedRemoval(disk, logger);
    this.firstFiles = new FirstSegmentFiles(disk, (log) => this.log(log.topicPartition) === log);
    this.dirs = options.directories.map((path) => new LogDirectory(disk, logger, path, options.areLocksHeld));
    this.intervals = { ...logIntervalsDefault, ...options.intervals };
    this.environment = {
      disk,
      clock,
      random,
      logger,
      indexCache: new IndexCache(options.indexCacheBytesMax ?? indexCacheBytesMaxDefault),
      producerIdExpirationMs: options.producerIdExpirationMs ?? producerIdExpirationMsDefault,
      isGroupCommit: options.isGroupCommit ?? false,
      removeLater: (paths, delayMs, onRemoved) => {
        const last = paths.length - 1;
        for (const [index, path] of paths.entries())
          this.removal.add(path, clock.wallMs() + delayMs, false, index === last ? onRemoved : undefined);
      },
      flushSoon: (log, upTo) => this.later(0, () => this.track(log.flushLater(upTo))),
      saveRecoveryPoints: (path) => {
        for (const [directory, logs] of this.logsByDirectory()) {
          if (directory.path !== path) continue;
          directory.writeCheckpoints(logs);
          for (const log of logs) log.forCleaner.isRecoveryPointLowered = false;
        }
      },
      onStorageFailure: (directory, error) => this.onStorageFailure(directory, error),
    };
    this.cleaner = new LogCleaner({
      clock,
      timers: options.timers,
      logger,
      settings: options.cleaner ?? (() => cleanerSettingsDefault),
      logs: () => this.byKey.values(),
      saveOffsets: (path) => this.saveCleanedOffsets(path),
    });
  }

  /** Compacts what is worth it, now; resolves when nothing is left to do. */
  cleanerTick(): Promise<void> {
    return this.cleaner.tick();
  }

  get directories(): readonly LogDirectoryStatus[] {
    return this.dirs;
  }

  get logCount(): number {
    return this.byKey.size;
  }

  log(topicPartition: TopicPartition): PartitionLog | null {
    return this.byKey.get(topicPartitionKey(topicPartition.topic, topicPartition.partition)) ?? null;
  }

  logs(): IterableIterator<PartitionLog> {
    return this.byKey.values();
  }

  /** The log, made where there is none: in `directory`, else in the one that holds the fewest. Throws DiskError. */
  getOrCreate(
    topicPartition: TopicPartition,
    /** `isNew: false`: the partition may have a log already, and then not in a directory that cannot be read. */
    options: { topicId: Uuid | null; directory?: string; isNew?: boolean },
  ): PartitionLog {
    const { topic, partition } = topicPartition;
    const key = topicPartitionKey(topic, partition);
    const known = this.byKey.get(key);
    if (known !== undefined) {
      if (options.topicId !== null && known.topicId === null) known.setTopicId(options.topicId);
      return known;
    }
    const offline = this.dirs.find(({ isOffline }) => isOffline);
    if (options.isNew === false && offline !== undefined)
      throw new DiskError("EIO", offline.path, `create ${key}, which may lie in offline directory`);
    const directory = this.directoryFor(options.directory);
    const place = { topicPartition: { topic, partition }, directory, folder: `${directory}/${key}` };
    const log = createLog(this.environment, place, this.options.configOf(topic), options.topicId);
    this.byKey.set(key, log);
    if (this.firstFiles.isEmpty) this.later(firstFileDelayMs, () => this.firstFilesTick());
    this.firstFiles.add(log);
    return log;
  }

  /** Replicas that are on their way to another directory. */
  replicaMoves(): IterableIterator<ReplicaMove> {
    return this.moves.values();
  }

  /** Begins to move the replica to `directory`; a move to elsewhere is given up. Throws DiskError. */
  moveReplica(topicPartition: TopicPartition, directory: string): void {
    const { topic, partition } = topicPartition;
    const key = topicPartitionKey(topic, partition);
    const current = this.byKey.get(key);
    assert(current !== undefined, `${key} has no log here`);
    const before = this.moves.get(key);
    if (before?.future.directory === directory) return;
    this.moves.delete(key);
    void before?.cancel();
    if (current.directory === directory) return;
    const path = this.directoryFor(directory);
    const folder = `${path}/${suffixedFolderName(topicPartition, "future", this.options.random)}`;
    const place = { topicPartition: { topic, partition }, directory: path, folder };
    const future = createLog(this.environment, place, current.config, current.topicId);
    if (current.logStartOffset > 0) future.truncateFullyAndStartAt(current.logStartOffset);
    const { clock, timers, disk, logger, moveBytesPerSecond } = this.options;
    const move = new ReplicaMove(
      {
        ...{ clock, timers, disk, logger },
        bytesPerSecond: moveBytesPerSecond ?? (() => Number.POSITIVE_INFINITY),
        swap: (done) => this.finishMove(key, done),
        drop: (done) => this.dropMove(key, done),
      },
      current,
      future,
    );
    this.moves.set(key, move);
    void move.start();
  }

  /** Its folder is renamed `-delete` at once and removed after the topic's file.delete.delay.ms. Throws DiskError. */
  delete(topicPartition: TopicPartition): void {
    const log = this.take(topicPartition);
    if (log === null) return;
    const folder = this.renameAside(log, "delete");
    this.removal.add(folder, this.options.clock.wallMs() + log.config.fileDeleteDelayMs, true);
  }

  /** Its folder is renamed `-stray` and kept: this broker should not have it, but nobody said that it may go. Throws DiskError. */
  renameAsStray(topicPartition: TopicPartition): void {
    const log = this.take(topicPartition);
    if (log !== null) this.renameAside(log, "stray");
  }

  /** The settings of `topic` have changed. */
  updateConfig(topic: string): void {
    const config = this.options.configOf(topic);
    for (const log of this.byKey.values()) if (log.topicPartition.topic === topic) log.updateConfig(config);
  }

  /** Retention, flush, checkpoints, expiry and delayed removal from now on, at the intervals. */
  startTimers(): void {
    const { intervals } = this;
    this.every(intervals.retentionMs, () => this.eachLog((log) => this.retain(log)));
    this.every(intervals.flushMs, () => this.flushTick());
    this.every(intervals.checkpointMs, () => this.checkpointTick());
    this.every(intervals.highWatermarkMs, () => this.highWatermarkTick());
    this.every(intervals.producerExpirationMs, () => this.eachLog((log) => log.expireProducers(this.nowMs)));
    this.every(intervals.cleanerMs, () => void this.cleaner.tick());
    this.every(intervals.removalMs, () => this.removal.run(this.nowMs, removalsPerStepMax));
  }

  /** Applies every log's retention now. */
  retentionTick(): void {
    for (const log of [...this.byKey.values()]) this.guard(log, () => this.retain(log));
  }

  /** Flushes, on the thread pool, what flush.ms says is due. */
  flushTick(): void {
    const { nowMs } = this;
    for (const log of this.byKey.values()) if (log.isFlushDue(nowMs)) this.track(log.flushLater());
  }

  /** Recovery points, log starts and high watermarks of all logs; one file each a directory. Throws nothing: the next tick tries again. */
  checkpointTick(): void {
    this.eachLog((log) => log.writeEpochs());
    this.forDirectories((directory, logs) => directory.writeCheckpoints(logs));
  }

  highWatermarkTick(): void {
    this.forDirectories((directory, logs) => directory.writeHighWatermarks(logs));
  }

  /** A slice of the empty first segments of new partitions. */
  private firstFilesTick(): void {
    const { clock } = this.options;
    const untilMs = clock.monotonicMs() + firstFilesMsMax;
    this.makeFirstFiles(() => clock.monotonicMs() >= untilMs);
    if (!this.firstFiles.isEmpty) this.later(firstFilesPauseMs, () => this.firstFilesTick());
  }

  /** A partition whose file cannot be made says so when it is first appended to. */
  private makeFirstFiles(isOver: () => boolean): void {
    try {
      this.firstFiles.make(isOver);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.options.logger.warn({ path: error.path, code: error.code }, "an empty segment could not be made");
    }
  }

  /** Removes what is due of the deleted files and folders. */
  removalTick(): void {
    this.removal.run(this.nowMs, Number.POSITIVE_INFINITY);
  }

  /** Writes all checkpoints. Throws DiskError. */
  writeCheckpoints(): void {
    for (const [directory, logs] of this.logsByDirectory()) directory.writeCheckpoints(logs);
  }

  /** Flushes and closes every log, checkpoints, and leaves the clean-shutdown mark where all of a directory went well. */
  async close(options: { brokerEpoch: number }): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const handle of this.timerHandles) handle.cancel();
    this.timerHandles.clear();
    await this.cleaner.stop();
    await Promise.all([...this.moves.values()].map((move) => move.cancel()));
    await Promise.allSettled(this.flushes);
    this.makeFirstFiles(() => false);
    for (const [directory, logs] of this.logsByDirectory()) {
      if (directory.isOffline) continue;
      try {
        await closeLogs(this.options.disk, directory, logs);
        directory.writeCheckpoints(logs);
        directory.writeCleanedOffsets(logs);
        directory.writeCleanShutdownMark(options.brokerEpoch);
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        this.options.logger.error(
          { directory: directory.path, code: error.code },
          `no clean shutdown of the directory, its logs are checked at the next start: ${error.message}`,
        );
      }
    }
    for (const log of this.byKey.values()) log.release();
    this.byKey.clear();
    for (const directory of this.dirs) directory.release();
  }

  private get nowMs(): number {
    return this.options.clock.wallMs();
  }

  /** A directory whose device fails is left out, as Kafka does, as long as another is there to work with. */
  private async attemptDirectory(directory: LogDirectory, work: () => void | Promise<void>): Promise<void> {
    if (directory.isOffline) return;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (this.dirs.every((other) => other === directory || other.isOffline)) throw error;
      this.onStorageFailure(directory.path, error);
    }
  }

  private async loadDirectory(directory: LogDirectory): Promise<void> {
    const { disk, logger, onProgress } = this.options;
    const recoveryPoints = directory.readCheckpoint(directoryFile.recoveryPoints);
    const logStartOffsets = directory.readCheckpoint(directoryFile.logStartOffsets);
    const highWatermarks = directory.readCheckpoint(directoryFile.highWatermarks);
    const cleanedOffsets = directory.readCheckpoint(directoryFile.cleanedOffsets);
    const names = disk
      .listDirectory(directory.path)
      .filter((entry) => entry.isDirectory)
      .map((entry) => entry.name);
    let loaded = 0;
    const pace = turnsBetween(this.options.clock, loadMsMax, () => this.turn());
    const configs = new Map<string, LogConfig>();
    const ahead = listAhead(disk, directory.path, names);
    for (const name of names) {
      const folder = parsePartitionFolder(name);
      const entries = ahead(loaded);
      if (folder === null)
        logger.warn({ directory: directory.path, name }, "the folder is no partition's and is left alone");
      else if (folder.state === "delete")
        this.removal.add(`${directory.path}/${name}`, this.deletionDueMs(folder.topicPartition), true);
      else if (folder.state === "future")
        this.halfMoved.push({ ...folder, directory: directory.path, folder: `${directory.path}/${name}` });
      else if (folder.state === "live" && folder.topicPartition.topic !== clusterMetadataTopic) {
        const key = topicPartitionKey(folder.topicPartition.topic, folder.topicPartition.partition);
        const { topic } = folder.topicPartition;
        const config = configs.get(topic) ?? this.options.configOf(topic);
        configs.set(topic, config);
        const load = this.load(directory, folder.topicPartition, key, config, {
          entries: await entries,
          recoveryPoint: recoveryPoints.get(key) ?? (0 as Offset),
          logStartOffset: logStartOffsets.get(key) ?? (0 as Offset),
          highWatermark: highWatermarks.get(key) ?? (0 as Offset),
          cleanedOffset: cleanedOffsets.get(key),
        });
        // A recovery may take long: whoever waits for this node, other controllers among them, has a turn in between.
        while (load.next().done !== true) await pace(false);
      }
      loaded++;
      const isMark = loaded % logsPerStepMax === 0 || loaded === names.length;
      if (await pace(isMark)) onProgress?.({ directory: directory.path, loaded, total: names.length });
    }
  }

  private *load(
    directory: LogDirectory,
    topicPartition: TopicPartition,
    key: TopicPartitionKey,
    config: LogConfig,
    checkpoints: Omit<LoadOptions, "hadCleanShutdown">,
  ): Generator<void, void> {
    const { logger, isStray } = this.options;
    const other = this.byKey.get(key);
    if (other !== undefined) {
      throw new LogDirectoryProblem(
        `${key} lies in ${other.directory} and in ${directory.path}; move one of the two folders away`,
      );
    }
    const place = { topicPartition, directory: directory.path, folder: `${directory.path}/${key}` };
    const options = { hadCleanShutdown: directory.hadCleanShutdown, ...checkpoints };
    const { log, report } = yield* loadLogSteps(this.environment, place, config, options);
    if (report.recoveredSegments > 0) {
      const fields = { partition: key, ...report, logEndOffset: log.logEndOffset };
      if (report.cutBytes === 0) logger.info(fields, "checked after an unclean stop");
      else logger.warn(fields, cutMessage(key, report.cutBytes, log.logEndOffset));
    }
    // What an earlier process left in the page cache must not be acknowledged either before it is on the device.
    if (this.environment.isGroupCommit) log.flush();
    this.byKey.set(key, log);
    if (isStray?.(topicPartition, log.topicId) === true) {
      logger.warn({ partition: key }, "the partition is not this broker's; its folder is renamed -stray");
      this.renameAsStray(topicPartition);
    }
  }

  private deletionDueMs(topicPartition: TopicPartition): number {
    return this.nowMs + this.options.configOf(topicPartition.topic).fileDeleteDelayMs;
  }

  private directoryFor(wanted: string | undefined): string {
    if (wanted !== undefined) {
      const known = this.dirs.find((directory) => directory.path === wanted);
      assert(known !== undefined, `${wanted} is not one of log.dirs`);
      if (known.isOffline) throw new DiskError("EIO", wanted, "create a log in offline directory");
      return known.path;
    }
    const online = this.dirs.filter((directory) => !directory.isOffline);
    if (online.length === 0)
      throw new DiskError("EIO", this.dirs[0]?.path ?? "", "create a log, all directories are offline:");
    if (online.length === 1) return online[0]!.path;
    const counts = new Map<string, number>(online.map((directory) => [directory.path, 0]));
    for (const log of this.byKey.values()) {
      const count = counts.get(log.directory);
      if (count !== undefined) counts.set(log.directory, count + 1);
    }
    return [...counts].reduce((least, next) => (next[1] < least[1] ? next : least))[0];
  }

  private take(topicPartition: TopicPartition): PartitionLog | null {
    const key = topicPartitionKey(topicPartition.topic, topicPartition.partition);
    const log = this.byKey.get(key);
    if (log === undefined) return null;
    void this.moves.get(key)?.cancel();
    this.byKey.delete(key);
    return log;
  }

  private renameAside(log: PartitionLog, state: "delete" | "stray"): string {
    const before = log.path;
    const folder = `${log.directory}/${suffixedFolderName(log.topicPartition, state, this.options.random)}`;
    log.renameFolder(folder);
    this.removal.moveFolder(before, folder);
    return folder;
  }

  private finishMove(key: TopicPartitionKey, { current, future }: ReplicaMove): void {
    const { clock, disk, onMoved } = this.options;
    takeOver(current, future);
    const folder = this.renameAside(current, "delete");
    disk.syncDirectory(current.directory);
    future.renameFolder(`${future.directory}/${key}`);
    disk.syncDirectory(future.directory);
    current.release();
    this.removal.add(folder, clock.wallMs() + current.config.fileDeleteDelayMs, true);
    this.moves.delete(key);
    this.byKey.set(key, future);
    onMoved?.(current, future);
  }

  private dropMove(key: TopicPartitionKey, move: ReplicaMove): void {
    if (this.moves.get(key) === move) this.moves.delete(key);
    move.future.release();
    if (this.isClosed) return;
    this.removal.add(move.future.path, this.nowMs, true);
  }

  /** What a stop or a crash interrupted begins anew; where only the future folder is left, the replica had already moved. */
  private async resumeMoves(): Promise<void> {
    for (const { directory, folder, topicPartition } of this.halfMoved.splice(0)) {
      const key = topicPartitionKey(topicPartition.topic, topicPartition.partition);
      const owner = this.dirs.find(({ path }) => path === directory)!;
      if (owner.isOffline) continue;
      if (this.byKey.has(key)) {
        this.removal.add(folder, this.nowMs, true);
        this.later(0, () => this.byKey.has(key) && this.moveReplica(topicPartition, directory));
      } else if (this.dirs.every(({ isOffline }) => !isOffline)) {
        this.options.disk.rename(folder, `${directory}/${key}`);
        const start = 0 as Offset;
        const checkpoints = { recoveryPoint: start, logStartOffset: start, highWatermark: start };
        const load = this.load(owner, topicPartition, key, this.options.configOf(topicPartition.topic), checkpoints);
        while (load.next().done !== true) await this.turn();
      }
    }
  }

  private retain(log: PartitionLog): void {
    const deletions = log.deleteOldSegments(this.nowMs);
    if (deletions.length === 0) return;
    const { topic, partition } = log.topicPartition;
    this.options.logger.info(
      { topic, partition, deletions, logStartOffset: log.logStartOffset },
      `retention removed ${deletions.length} segments`,
    );
  }

  private onStorageFailure(path: string, error: DiskError): void {
    const directory = this.dirs.find((candidate) => candidate.path === path);
    if (directory === undefined || directory.isOffline) return;
    directory.isOffline = true;
    this.options.logger.error({ directory: path, code: error.code }, `the log directory is offline: ${error.message}`);
    for (const [key, log] of this.byKey) {
      if (log.directory !== path) continue;
      log.goOffline();
      this.byKey.delete(key);
    }
    for (const { future } of this.moves.values()) if (future.directory === path) future.goOffline();
    this.options.onDirectoryFailure?.(path, error);
  }

  private saveCleanedOffsets(path: string): void {
    for (const [directory, logs] of this.logsByDirectory())
      if (directory.path === path) directory.writeCleanedOffsets(logs);
  }

  private logsByDirectory(): Map<LogDirectory, PartitionLog[]> {
    const byPath = new Map<string, PartitionLog[]>(this.dirs.map((directory) => [directory.path, []]));
    for (const log of this.byKey.values()) byPath.get(log.directory)!.push(log);
    return new Map(this.dirs.map((directory) => [directory, byPath.get(directory.path)!]));
  }

  private forDirectories(work: (directory: LogDirectory, logs: readonly PartitionLog[]) => void): void {
    for (const [directory, logs] of this.logsByDirectory()) {
      try {
        work(directory, logs);
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        this.options.logger.warn(
          { directory: directory.path, code: error.code },
          `a checkpoint waits: ${error.message}`,
        );
      }
    }
  }

  /** Calls `work` for every log, some in this turn and the rest in later ones. */
  private eachLog(work: (log: PartitionLog) => void): void {
    const logs = [...this.byKey.values()];
    let next = 0;
    const step = (): void => {
      for (const end = Math.min(next + logsPerStepMax, logs.length); next < end; next++) {
        const log = logs[next]!;
        if (this.log(log.topicPartition) === log) this.guard(log, () => work(log));
      }
      if (next < logs.length && !this.isClosed) this.later(0, step);
    };
    step();
  }

  /** A log whose disk refuses must not keep the others from their turn. */
  private guard(log: PartitionLog, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      const { topic, partition } = log.topicPartition;
      this.options.logger.warn({ topic, partition, code: error.code }, error.message);
    }
  }

  private track(flush: Promise<void>): void {
    const settled = flush
      .catch((error: unknown) => {
        if (!(error instanceof DiskError)) throw error;
        this.options.logger.error({ path: error.path, code: error.code }, `a flush failed: ${error.message}`);
        const directory = this.dirs.find((candidate) => error.path.startsWith(`${candidate.path}/`));
        // What the device did not take may be gone from the page cache too: trying again would report success for nothing.
        if (directory !== undefined) this.onStorageFailure(directory.path, error);
      })
      .finally(() => this.flushes.delete(settled));
    this.flushes.add(settled);
  }

  private every(intervalMs: number, work: () => void): void {
    const run = (): void => {
      work();
      if (!this.isClosed) this.later(intervalMs, run);
    };
    this.later(intervalMs, run);
  }

  private later(delayMs: number, work: () => void): void {
    const handle = this.options.timers.after(delayMs, () => {
      this.timerHandles.delete(handle);
      if (!this.isClosed) work();
    });
    this.timerHandles.add(handle);
  }

  /** Lets others have their turn. */
  private turn(): Promise<void> {
    return new Promise((resolve) => {
      this.options.timers.after(0, resolve);
    });
  }
}

/** For the person who starts a node that did not stop cleanly: what was found, what was done, what is left to do. */
function cutMessage(partition: string, cutBytes: number, logEndOffset: number): string {
  const found = `${partition} had ${cutBytes} bytes behind offset ${logEndOffset} that are no whole, undamaged batches`;
  return `${found}; they were cut. After a crash that is a write that was never acknowledged; a larger cut means a damaged disk: look for the records in a replica or a backup before they are written anew`;
}
