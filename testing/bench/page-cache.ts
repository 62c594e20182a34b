// Brings both sides of a comparison to the same page cache. On a virtual machine the host backs a page of memory when the guest touches it first, and takes
// free pages back after a while: writing a gigabyte into such pages costs the writer 1.4 to 2.0 s of system time, into pages that were used a moment
// ago 0.3 to 0.5 s. Whoever is measured first would pay for the other.
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun } from "../compat/runner/process.ts";

const piece = Buffer.alloc(1024 * 1024, 1);

/** Everything written is on the disk, and `bytes` of free memory were used just now. */
export async function settlePageCache(bytes: number): Promise<void> {
  await mustRun("sync", []);
  const path = join(tmpdir(), `blumfeld-bench-${process.pid}.scratch`);
  const file = openSync(path, "w");
  try {
    for (let done = 0; done < bytes; done += piece.length) writeSync(file, piece);
  } finally {
    closeSync(file);
    rmSync(path);
  }
}
