// XXH3, 64 bits, seed 0: the hash that Kafka keeps of a group's topics. Written for clarity, with bigints: a group's topics are hashed when they
// change, not when records flow. Reads only.
const mask = 0xffff_ffff_ffff_ffffn;
const prime32 = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn] as const;
const prime64 = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;
const mix1 = 0x165667919e3779f9n;
const mix2 = 0x9fb21c651e98df25n;

const stripeBytes = 64;
const stripesPerBlock = 16;
const laneCount = 8;

/** The algorithm's own, which stands in its specification. */
const secret = Buffer.from(
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f" +
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c" +
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364" +
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e" +
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e",
  "hex",
);

/** Signed, as a Java long. */
export function xxh3(bytes: Buffer): bigint {
  const { length } = bytes;
  if (length > 240) return BigInt.asIntN(64, hashLong(bytes));
  if (length > 128) return BigInt.asIntN(64, hashMiddle(bytes));
  if (length > 16) return BigInt.asIntN(64, hashShort(bytes));
  return BigInt.asIntN(64, hashTiny(bytes));
}

function read32(bytes: Buffer, at: number): bigint {
  return BigInt(bytes.readUInt32LE(at));
}

function read64(bytes: Buffer, at: number): bigint {
  return bytes.readBigUInt64LE(at);
}

function rotateLeft(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & mask;
}

/** The two halves of the 128-bit product, one over the other. */
function foldedProduct(one: bigint, other: bigint): bigint {
  const product = one * other;
  return (product & mask) ^ (product >> 64n);
}

function avalanche(hash: bigint): bigint {
  let value = hash ^ (hash >> 37n);
  value = (value * mix1) & mask;
  return value ^ (value >> 32n);
}

/** XXH64's, for the shortest inputs. */
function avalanche64(hash: bigint): bigint {
  let value = hash ^ (hash >> 33n);
  value = (value * prime64[1]) & mask;
  value ^= value >> 29n;
  value = (value * prime64[2]) & mask;
  return value ^ (value >> 32n);
}

function hashTiny(bytes: Buffer): bigint {
  const { length } = bytes;
  if (length > 8) {
    const low = read64(bytes, 0) ^ read64(secret, 24) ^ read64(secret, 32);
    const high = read64(bytes, length - 8) ^ read64(secret, 40) ^ read64(secret, 48);
    return avalanche((BigInt(length) + swapped(low) + high + foldedProduct(low, high)) & mask);
  }
  if (length > 3) {
    const both = (read32(bytes, length - 4) + (read32(bytes, 0) << 32n)) & mask;
    let value = both ^ read64(secret, 8) ^ read64(secret, 16);
    value ^= rotateLeft(value, 49n) ^ rotateLeft(value, 24n);
    value = (value * mix2) & mask;
    value ^= ((value >> 35n) + BigInt(length)) & mask;
    value = (value * mix2) & mask;
    return value ^ (value >> 28n);
  }
  if (length === 0) return avalanche64(read64(secret, 56) ^ read64(secret, 64));
  const combined =
    BigInt((bytes[0]! << 16) | (length << 8) | bytes[length - 1]!) | (BigInt(bytes[length >> 1]!) << 24n);
  return avalanche64(combined ^ read32(secret, 0) ^ read32(secret, 4));
}

function swapped(value: bigint): bigint {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.readBigUInt64BE();
}

function mix16(bytes: Buffer, at: number, secretAt: number): bigint {
  return foldedProduct(
    read64(bytes, at) ^ read64(secret, secretAt),
    read64(bytes, at + 8) ^ read64(secret, secretAt + 8),
  );
}

function hashShort(bytes: Buffer): bigint {
  const { length } = bytes;
  let hash = BigInt(length) * prime64[0];
  for (let pair = (length - 1) >> 5; pair >= 0; pair--) {
    hash += mix16(bytes, 16 * pair, 32 * pair);
    hash += mix16(bytes, length - 16 * (pair + 1), 32 * pair + 16);
  }
  return avalanche(hash & mask);
}

function hashMiddle(bytes: Buffer): bigint {
  const { length } = bytes;
  let hash = BigInt(length) * prime64[0];
  for (let round = 0; round < 8; round++) hash += mix16(bytes, 16 * round, 16 * round);
  hash = avalanche(hash & mask);
  for (let round = 8; round < length >> 4; round++) hash += mix16(bytes, 16 * round, 16 * (round - 8) + 3);
  hash += mix16(bytes, length - 16, 136 - 17);
  return avalanche(hash & mask);
}

function hashLong(bytes: Buffer): bigint {
  const lanes = [
    ...[prime32[2], prime64[0], prime64[1], prime64[2]],
    ...[prime64[3], prime32[1], prime64[4], prime32[0]],
  ] as bigint[];
  const { length } = bytes;
  const stripeCount = Math.floor((length - 1) / stripeBytes);
  for (let stripe = 0; stripe < stripeCount; stripe++) {
    const inBlock = stripe % stripesPerBlock;
    accumulate(lanes, bytes, stripe * stripeBytes, 8 * inBlock);
    if (inBlock === stripesPerBlock - 1) scramble(lanes);
  }
  accumulate(lanes, bytes, length - stripeBytes, secret.length - stripeBytes - 7);
  let hash = BigInt(length) * prime64[0];
  for (let pair = 0; pair < laneCount; pair += 2) {
    const secretAt = 11 + 8 * pair;
    hash += foldedProduct(lanes[pair]! ^ read64(secret, secretAt), lanes[pair + 1]! ^ read64(secret, secretAt + 8));
  }
  return avalanche(hash & mask);
}

function accumulate(lanes: bigint[], bytes: Buffer, at: number, secretAt: number): void {
  for (let lane = 0; lane < laneCount; lane++) {
    const value = read64(bytes, at + 8 * lane);
    const keyed = value ^ read64(secret, secretAt + 8 * lane);
    lanes[lane ^ 1] = (lanes[lane ^ 1]! + value) & mask;
    lanes[lane] = (lanes[lane]! + (keyed & 0xffff_ffffn) * (keyed >> 32n)) & mask;
  }
}

function scramble(lanes: bigint[]): void {
  for (let lane = 0; lane < laneCount; lane++) {
    const value = lanes[lane]!;
    lanes[lane] =
      ((value ^ (value >> 47n) ^ read64(secret, secret.length - stripeBytes + 8 * lane)) * prime32[0]) & mask;
  }
}
