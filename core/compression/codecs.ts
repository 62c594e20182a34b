// The table of codecs, by the number in a batch's attributes and by the name in `compression.type`.
import type { Codec, CodecName } from "./codec.ts";
import { gzip } from "./gzip.ts";
import { lz4 } from "./lz4.ts";
import { none } from "./none.ts";
import { snappy } from "./snappy.ts";
import { zstd } from "./zstd.ts";

export const codecs: readonly Codec[] = [none, gzip, snappy, lz4, zstd];

/** Null for an id that names nothing: 5 to 7. */
export function codecById(id: number): Codec | null {
  return codecs[id] ?? null;
}

const byName: ReadonlyMap<string, Codec> = new Map(codecs.map((codec) => [codec.name, codec]));

/** Null for what is no codec's name; `compression.type`'s `producer` and `uncompressed` are the caller's to know. */
export function codecByName(name: string): Codec | null {
  return byName.get(name) ?? null;
}

export function isCodecName(name: string): name is CodecName {
  return byName.has(name);
}
