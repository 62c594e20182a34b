// The assignor `simple`: each partition goes to as many members as are needed for everybody to have one, and no member has more than its share
// while another has less. Members keep what they had as far as that allows.
import type { Uuid } from "../../../base/index.ts";
import type { ShareAssigned } from "./share-group.ts";

export interface ShareAssignorMember {
  readonly memberId: string;
  readonly topics: readonly Uuid[];
  readonly target: ShareAssigned;
}

interface Place {
  readonly topicId: Uuid;
  readonly partition: number;
  memberCount: number;
}

export function assignSimple(
  members: readonly ShareAssignorMember[],
  partitionsOf: ReadonlyMap<Uuid, readonly number[]>,
): Map<string, ShareAssigned> {
  const results = new Map<string, Map<Uuid, number[]>>();
  for (const { memberId } of members) results.set(memberId, new Map());
  // Topics with the same subscribers are shared out together.
  const kinds = new Map<string, { readonly members: ShareAssignorMember[]; readonly topics: Uuid[] }>();
  for (const topicId of partitionsOf.keys()) {
    const subscribers = members.filter(({ topics }) => topics.includes(topicId));
    if (subscribers.length === 0) continue;
    const key = subscribers.map(({ memberId }) => memberId).join("\0");
    const kind = kinds.get(key);
    if (kind === undefined) kinds.set(key, { members: subscribers, topics: [topicId] });
    else kind.topics.push(topicId);
  }
  for (const kind of kinds.values()) {
    const places: Place[] = [];
    for (const topicId of kind.topics)
      for (const partition of partitionsOf.get(topicId)!) places.push({ topicId, partition, memberCount: 0 });
    if (places.length > 0) share(kind.members, places, results);
  }
  for (const assigned of results.values()) for (const partitions of assigned.values()) partitions.sort((a, b) => a - b);
  return results;
}

function share(
  members: readonly ShareAssignorMember[],
  places: readonly Place[],
  results: ReadonlyMap<string, Map<Uuid, number[]>>,
): void {
  const sharing = Math.ceil(members.length / places.length);
  const slots = Math.max(places.length, members.length);
  const quota = Math.floor(slots / members.length);
  let larger = slots % members.length;
  const byKey = new Map(places.map((place) => [place.topicId + place.partition, place]));
  const counts = new Map<string, number>();
  const give = (member: ShareAssignorMember, place: Place): void => {
    const own = results.get(member.memberId)!;
    const partitions = own.get(place.topicId);
    if (partitions === undefined) own.set(place.topicId, [place.partition]);
    else partitions.push(place.partition);
    place.memberCount++;
    counts.set(member.memberId, (counts.get(member.memberId) ?? 0) + 1);
  };
  for (const member of members) {
    for (const [topicId, partitions] of member.target) {
      for (const partition of partitions) {
        const place = byKey.get(topicId + partition);
        const count = counts.get(member.memberId) ?? 0;
        if (place === undefined || place.memberCount >= sharing || count > quota) continue;
        if (count === quota) {
          if (larger === 0) continue;
          larger--;
        }
        give(member, place);
      }
    }
  }
  for (const member of members) {
    const taken = results.get(member.memberId)!;
    const free = places
      .filter((place) => place.memberCount < sharing && !taken.get(place.topicId)?.includes(place.partition))
      .sort((one, other) => one.memberCount - other.memberCount);
    for (const place of free) {
      const count = counts.get(member.memberId) ?? 0;
      if (count > quota || (count === quota && larger === 0)) break;
      // More than its share only of what nobody has.
      if (count === quota) {
        if (place.memberCount > 0) break;
        larger--;
      }
      give(member, place);
    }
  }
  for (const place of places) if (place.memberCount === 0) moveTo(place, members, byKey, results);
}

/** A place that nobody has, since all kept what they had: one of those who share another comes over. */
function moveTo(
  empty: Place,
  members: readonly ShareAssignorMember[],
  byKey: ReadonlyMap<string, Place>,
  results: ReadonlyMap<string, Map<Uuid, number[]>>,
): void {
  for (const { memberId } of members) {
    const own = results.get(memberId)!;
    for (const [topicId, partitions] of own) {
      const index = partitions.findIndex((partition) => (byKey.get(topicId + partition)?.memberCount ?? 0) > 1);
      if (index < 0) continue;
      byKey.get(topicId + partitions[index]!)!.memberCount--;
      partitions.splice(index, 1);
      if (partitions.length === 0) own.delete(topicId);
      own.set(empty.topicId, [...(own.get(empty.topicId) ?? []), empty.partition]);
      empty.memberCount++;
      return;
    }
  }
}
