// How far a group is behind, asked of any Kafka cluster: records by the ends of the partitions, seconds by the timestamp of the record at the
// committed offset, which is fetched. Reads one batch of each partition that is behind; commits nothing, joins no group.
import type { Admin, GroupOffset } from "@blumfeld/client";
import { type ConnectionFlags, clientOptionsOf, timeoutMsOf } from "../connection.ts";
import type { CliIo } from "../io.ts";
import { offsetsAt, type Place } from "./offsets.ts";

export interface PartitionLag extends Place {
  /** -1: nothing is committed. */
  readonly offset: number;
  /** -1: the partition is no more, or may not be seen. */
  readonly endOffset: number;
  /** Records up to the end; null where nothing is committed, or there is no end. */
  readonly lag: number | null;
  /** Since the next record to be read was written; 0 where nothing is behind, null where that is not known. */
  readonly lagSeconds: number | null;
}

/** Partitions that are read at a time: each may bring a batch. */
const partitionsAtOnceMax = 500;
/** Of one partition in one answer, unless its first batch is larger. */
const partitionBytesMax = 64 * 1024;

export async function lagOf(
  admin: Admin,
  io: CliIo,
  flags: ConnectionFlags,
  committed: readonly GroupOffset[],
  nowMs: number,
): Promise<PartitionLag[]> {
  return (await lagsOf(admin, io, flags, [committed], nowMs))[0]!;
}

/** One list for each list given. */
export async function lagsOf(
  admin: Admin,
  io: CliIo,
  flags: ConnectionFlags,
  groups: readonly (readonly GroupOffset[])[],
  nowMs: number,
): Promise<PartitionLag[][]> {
  const places = await placesThatAre(admin, groups.flat());
  const ends = await offsetsAt(admin, [...places.values()], "latest");
  const endOf = new Map([...places.keys()].map((key, at) => [key, ends[at]!]));
  const behind = new Map<string, Behind>();
  for (const { offset, partition, topic } of groups.flat()) {
    const end = endOf.get(`${topic}-${partition}`) ?? -1;
    if (offset >= 0 && offset < end) behind.set(`${topic}-${partition}@${offset}`, { topic, partition, offset, end });
  }
  const timestamps = behind.size === 0 ? new Map<string, number | null>() : await timestampsAt(io, flags, behind);
  return groups.map((committed) =>
    committed.map(({ offset, partition, topic }): PartitionLag => {
      const endOffset = endOf.get(`${topic}-${partition}`) ?? -1;
      if (offset < 0 || endOffset < 0) return { topic, partition, offset, endOffset, lag: null, lagSeconds: null };
      const lag = Math.max(0, endOffset - offset);
      if (lag === 0) return { topic, partition, offset, endOffset, lag, lagSeconds: 0 };
      const timestamp = timestamps.get(`${topic}-${partition}@${offset}`);
      const lagSeconds = timestamp === undefined ? null : timestamp === null ? 0 : secondsSince(timestamp, nowMs);
      return { topic, partition, offset, endOffset, lag, lagSeconds };
    }),
  );
}

/** Offsets may outlive their topic: nobody waits for one that is gone. */
async function placesThatAre(admin: Admin, committed: readonly Place[]): Promise<Map<string, Place>> {
  const names = [...new Set(committed.map(({ topic }) => topic))];
  const described = names.length === 0 ? [] : await admin.describeTopics(names);
  const countOf = new Map(
    described.map(({ error, name, partitions }) => [name, error === null ? partitions.length : 0]),
  );
  const places = new Map<string, Place>();
  for (const { partition, topic } of committed)
    if (partition < countOf.get(topic)!) places.set(`${topic}-${partition}`, { topic, partition });
  return places;
}

function secondsSince(timestamp: number, nowMs: number): number | null {
  return timestamp < 0 ? null : Math.max(0, nowMs - timestamp) / 1000;
}

interface Behind extends Place {
  readonly offset: number;
  readonly end: number;
}

/** Null: no record is left, only marks of transactions. Left out: the time ran out. */
async function timestampsAt(
  io: CliIo,
  flags: ConnectionFlags,
  behind: ReadonlyMap<string, Behind>,
): Promise<Map<string, number | null>> {
  const { Consumer } = await import("@blumfeld/client");
  const consumer = new Consumer({
    ...(await clientOptionsOf(io, flags)),
    autoOffsetReset: "earliest",
    partitionBytesMax,
  });
  const signal = AbortSignal.timeout(timeoutMsOf(flags));
  const timestamps = new Map<string, number | null>();
  try {
    for (const round of roundsOf(behind)) {
      const open = new Map(round.map((one) => [`${one.topic}-${one.partition}`, one]));
      // Groups at other offsets of a partition come in another round: it must begin anew.
      consumer.assign([]);
      consumer.assign(round.map(({ offset, partition, topic }) => ({ topic, partition, startAt: offset })));
      const until = round.map(({ end, partition, topic }) => ({ topic, partition, offset: end }));
      for await (const batch of consumer.batches({ until, signal })) {
        const where = `${batch.topic}-${batch.partition}`;
        const asked = open.get(where);
        if (asked === undefined) continue;
        for (const { timestamp } of batch) {
          timestamps.set(`${where}@${asked.offset}`, timestamp);
          open.delete(where);
          break;
        }
        if (open.size === 0) break;
        if (!open.has(where)) consumer.assign([...open.values()].map(({ partition, topic }) => ({ topic, partition })));
      }
      for (const [where, { offset }] of open) timestamps.set(`${where}@${offset}`, null);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await consumer.close();
  }
  return timestamps;
}

/** Each partition once a round. */
function roundsOf(behind: ReadonlyMap<string, Behind>): Behind[][] {
  const rounds: Map<string, Behind>[] = [];
  for (const one of behind.values()) {
    const where = `${one.topic}-${one.partition}`;
    let round = rounds.find((some) => !some.has(where) && some.size < partitionsAtOnceMax);
    if (round === undefined) {
      round = new Map();
      rounds.push(round);
    }
    round.set(where, one);
  }
  return rounds.map((round) => [...round.values()]);
}

/** What a person reads: `0`, `850 ms`, `12 s`, `3 min 20 s`, `5 h 2 min`, `3 d 4 h`. */
export function secondsText(seconds: number | null): string {
  if (seconds === null) return "-";
  if (seconds === 0) return "0";
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}
