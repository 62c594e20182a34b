// The checksum of record batches: native where a binary for this platform was installed, the table form elsewhere. The choice is
// made once, when this file is loaded.
import { createRequire } from "node:module";
import { crc32cByTable } from "./crc32c-table.ts";

type Checksum = (bytes: Uint8Array, previous?: number) => number;

function nativeChecksum(): Checksum | null {
  try {
    const native = createRequire(import.meta.url)("@node-rs/crc32") as { crc32c: Checksum };
    // A binary that loads but computes something else is worse than none: "123456789" has a published answer.
    return native.crc32c(Buffer.from("123456789")) === 0xe3069283 ? native.crc32c : null;
  } catch {
    return null;
  }
}

const native = nativeChecksum();

/** For the start-up log and the tests. */
export const crc32cIsNative = native !== null;

/** The CRC-32C of `bytes`; with `previous`, of what gave `previous` followed by `bytes`. Unsigned. */
export const crc32c: Checksum = native ?? crc32cByTable;
