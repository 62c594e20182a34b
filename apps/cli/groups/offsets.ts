// Offsets of partitions for the commands of groups.
import type { Admin, GroupOffset, OffsetSpec } from "@blumfeld/client";

export type Place = Pick<GroupOffset, "topic" | "partition">;

export function byPartition(one: Place, other: Place): number {
  if (one.topic !== other.topic) return one.topic < other.topic ? -1 : 1;
  return one.partition - other.partition;
}

/** In the order of `places`. A time after the last record is the end. */
export async function offsetsAt(admin: Admin, places: readonly Place[], spec: OffsetSpec): Promise<number[]> {
  if (places.length === 0) return [];
  const answers = await admin.listOffsets(places.map(({ topic, partition }) => ({ topic, partition, spec })));
  const found = new Map(answers.map((answer) => [`${answer.topic}-${answer.partition}`, answer.offset]));
  const missing = places.filter(({ topic, partition }) => (found.get(`${topic}-${partition}`) ?? -1) < 0);
  const ends = spec === "latest" ? [] : await offsetsAt(admin, missing, "latest");
  missing.forEach(({ topic, partition }, at) => {
    found.set(`${topic}-${partition}`, ends[at] ?? -1);
  });
  return places.map(({ topic, partition }) => found.get(`${topic}-${partition}`) ?? -1);
}
