// The map against a plain Map, filled to its bound; the hash against published values.
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../base/index.ts";
import { hashKey } from "./key-hash.ts";
import { OffsetMap } from "./offset-map.ts";

function hexOf(text: string, seed = 0): string {
  const words = new Int32Array(4);
  hashKey(Buffer.from(text), 0, Buffer.byteLength(text), seed, words);
  return Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

describe("the hash of a key", () => {
  test("is MurmurHash3 x86 128", () => {
    expect(hexOf("")).toBe("0".repeat(32));
    expect(hexOf("The quick brown fox jumps over the lazy dog")).toBe("2f1583c3ecee2c675d7bf66ce5e91d2c");
  });

  test("differs for every short key and for each length", () => {
    const seen = new Set<string>();
    for (let length = 0; length < 300; length++) {
      seen.add(hexOf("x".repeat(length)));
      seen.add(hexOf(`${"x".repeat(length)}y`));
      seen.add(hexOf(`z${"x".repeat(length)}`, 0));
    }
    expect(seen.size).toBe(900);
  });
});

describe("an offset map", () => {
  test("holds the latest offset of each key, up to its bound, past 2^32", () => {
    const random = seededRandom(5);
    const map = new OffsetMap(1000, 0.9, 77);
    const model = new Map<string, number>();
    for (let offset = 4_294_967_000; !map.isFull; offset++) {
      const key = `key ${random.below(5000)}`;
      map.put(Buffer.from(key), 0, key.length, offset);
      model.set(key, offset);
      expect(map.latestOffset).toBe(offset);
    }
    expect(map.size).toBe(900);
    expect(model.size).toBe(900);
    for (let index = 0; index < 5000; index++) {
      const key = Buffer.from(`  key ${index}`);
      expect(map.get(key, 2, key.length - 2)).toBe(model.get(`key ${index}`) ?? -1);
    }
  });
});
