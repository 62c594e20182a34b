// The hash by which a group sees that its topics changed: ids, names, partition counts and racks of those that it is subscribed to. It only has to
// differ when they do; a group whose hash was made by another implementation gets one more epoch.
import { createHash } from "node:crypto";
import type { GroupTopics } from "../group-topics.ts";

export function metadataHashOf(names: ReadonlySet<string>, topics: GroupTopics): bigint {
  if (names.size === 0) return 0n;
  const hash = createHash("sha256");
  const number = Buffer.alloc(4);
  const addNumber = (value: number): void => {
    number.writeInt32BE(value);
    hash.update(number);
  };
  const addText = (text: string): void => {
    addNumber(Buffer.byteLength(text));
    hash.update(text);
  };
  for (const name of [...names].sort()) {
    addText(name);
    const topic = topics.byName(name);
    if (topic === null) {
      addNumber(-1);
      continue;
    }
    addText(topic.id);
    addNumber(topic.partitionCount);
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      const racks = [...topic.racksOf(partition)].sort();
      addNumber(racks.length);
      for (const rack of racks) addText(rack);
    }
  }
  return hash.digest().readBigInt64BE(0);
}
