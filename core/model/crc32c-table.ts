// CRC-32C (Castagnoli) in plain TypeScript, eight bytes a step: for platforms where no native binary fits.

const polynomial = 0x82f63b78;

/** Eight tables of 256: entry [k * 256 + b] is the CRC of byte b followed by k zero bytes. */
const tables = ((): Int32Array => {
  const table = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    table[byte] = crc;
  }
  for (let slice = 1; slice < 8; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = table[(slice - 1) * 256 + byte]!;
      table[slice * 256 + byte] = (before >>> 8) ^ table[before & 0xff]!;
    }
  }
  return table;
})();

/** The CRC-32C of `bytes`; with `previous`, of what gave `previous` followed by `bytes`. Unsigned. */
export function crc32cByTable(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  const length = bytes.length;
  const wholeEnd = length - (length % 8);
  let at = 0;
  for (; at < wholeEnd; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      tables[1792 + (low & 0xff)]! ^
      tables[1536 + ((low >>> 8) & 0xff)]! ^
      tables[1280 + ((low >>> 16) & 0xff)]! ^
      tables[1024 + (low >>> 24)]! ^
      tables[768 + bytes[at + 4]!]! ^
      tables[512 + bytes[at + 5]!]! ^
      tables[256 + bytes[at + 6]!]! ^
      tables[bytes[at + 7]!]!;
  }
  for (; at < length; at++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}
