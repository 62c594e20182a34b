// The hash by which a group sees that its topics changed, as Kafka makes it and keeps it in the group's records: a group that Kafka left behind goes
// on here without a new epoch, and the other way. Ids, names, partition counts and the racks of replicas count.
import type { GroupTopic, GroupTopics } from "../group-topics.ts";
import { xxh3 } from "./xxh3.ts";

/** Version of the way a topic is hashed. */
const topicHashMagic = 0;

/** Hashes of topics, for as long as the metadata stands: many groups want the same topics, and each join asks. */
const known = new WeakMap<GroupTopics, { readonly version: number; readonly hashes: Map<string, bigint> }>();

export function metadataHashOf(names: ReadonlySet<string>, topics: GroupTopics): bigint {
  const hashes: bigint[] = [];
  // By UTF-16 code units, as Java compares strings.
  for (const name of [...names].sort()) {
    const hash = topicHashOf(name, topics);
    if (hash !== null) hashes.push(hash);
  }
  if (hashes.length === 0) return 0n;
  const bytes = Buffer.alloc(8 * hashes.length);
  hashes.forEach((hash, index) => {
    bytes.writeBigInt64LE(hash, 8 * index);
  });
  return xxh3(bytes);
}

/** Null: there is no such topic. */
function topicHashOf(name: string, topics: GroupTopics): bigint | null {
  const topic = topics.byName(name);
  if (topic === null) return null;
  let cache = known.get(topics);
  if (cache?.version !== topics.version) {
    cache = { version: topics.version, hashes: new Map() };
    known.set(topics, cache);
  }
  let hash = cache.hashes.get(topic.id);
  if (hash === undefined) {
    hash = xxh3(topicBytes(topic));
    cache.hashes.set(topic.id, hash);
  }
  return hash;
}

/** Little-endian; text as UTF-16 with its length after it. */
function topicBytes(topic: GroupTopic): Buffer {
  const parts: Buffer[] = [];
  const int32 = (value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    parts.push(bytes);
  };
  const text = (value: string): void => {
    parts.push(Buffer.from(value, "utf16le"));
    int32(value.length);
  };
  const id = Buffer.from(topic.id, "base64url");
  parts.push(Buffer.from([topicHashMagic]), id.subarray(0, 8).reverse(), id.subarray(8, 16).reverse());
  text(topic.name);
  int32(topic.partitionCount);
  for (let partition = 0; partition < topic.partitionCount; partition++) {
    int32(partition);
    for (const rack of [...topic.racksOf(partition)].sort()) {
      int32(rack.length);
      text(rack);
    }
  }
  return Buffer.concat(parts);
}
