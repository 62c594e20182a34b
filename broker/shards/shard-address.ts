// Where the shard of a key is: in this process, on another broker, or nowhere while nobody leads its partition.
import type { BrokerParts } from "../parts.ts";
import type { PeerAddress, Peers } from "../peers/peers.ts";

/** Coordinators and leaders that are asked by other brokers answer in this time, or are asked again. */
export const shardRequestMsMax = 10_000;
/** Its connection of its own: what replicates never waits behind it. */
export const shardLane = "coordinators";

export type AddressParts = Pick<BrokerParts, "config" | "metadata" | "peers" | "replication">;

/** "here": this broker leads the partition, or would know best that nobody does. */
export type ShardAddress = "here" | { readonly peers: Peers; readonly address: PeerAddress };

export function addressOfPartition(parts: AddressParts, topic: string, index: number): ShardAddress {
  const { config, metadata, peers, replication } = parts;
  const leader = metadata.image.topics.partition(topic, index)?.leader ?? -1;
  if (leader < 0 || leader === config.nodeId || peers === null) return "here";
  const address = replication?.addressOf(leader) ?? null;
  return address === null ? "here" : { peers, address };
}
