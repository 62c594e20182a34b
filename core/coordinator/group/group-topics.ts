// What groups see of the cluster's topics. The host gives an implementation over the metadata image.
import type { Uuid } from "../../base/index.ts";

export interface GroupTopic {
  readonly name: string;
  readonly id: Uuid;
  readonly partitionCount: number;
  /** The racks of a partition's replicas, one for each that has one: for assignors and for the hash of a group's topics. */
  racksOf(partition: number): readonly string[];
}

export interface GroupTopics {
  byName(name: string): GroupTopic | null;
  byId(id: Uuid): GroupTopic | null;
  names(): Iterable<string>;
  /** Offset of the last metadata record: regular expressions are resolved again when it moves on. */
  readonly version: number;
}

export const noTopics: GroupTopics = { byName: () => null, byId: () => null, names: () => [], version: 0 };
