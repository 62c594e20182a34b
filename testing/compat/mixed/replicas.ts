// Replicas of stopped nodes, held against each other byte for byte: a follower of either make writes the batches that it got as they are.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const segmentName = /^\d{20}\.log$/;
const batchHeadBytes = 12;

/** Every segment of a partition, one after another; of `offsetEnd` on nothing. */
function logBytes(dataDir: string, folder: string, offsetEnd: number): Buffer {
  const path = join(dataDir, folder);
  if (!existsSync(path)) return Buffer.alloc(0);
  const names = readdirSync(path).filter((name) => segmentName.test(name));
  const bytes = Buffer.concat(names.sort().map((name) => readFileSync(join(path, name))));
  let end = 0;
  // A batch begins with its first offset and the length of what follows; segments that were made beforehand end in zeros.
  while (end + batchHeadBytes <= bytes.length && bytes.readInt32BE(end + 8) > 0) {
    if (Number(bytes.readBigInt64BE(end)) >= offsetEnd) break;
    end += batchHeadBytes + bytes.readInt32BE(end + 8);
  }
  return bytes.subarray(0, end);
}

/**
 * What is wrong where a partition's replicas in these data directories are not the same bytes below `offsetEnd`, or have none; otherwise an
 * empty string.
 */
export function unequalReplicas(
  dataDirs: readonly string[],
  folder: string,
  offsetEnd = Number.MAX_SAFE_INTEGER,
): string {
  const [first, ...others] = dataDirs.map((dataDir) => logBytes(dataDir, folder, offsetEnd));
  if (first === undefined || first.length === 0) return `${folder}: there is nothing in the first replica`;
  const findings: string[] = [];
  for (const [at, other] of others.entries()) {
    if (other.equals(first)) continue;
    let position = 0;
    while (position < other.length && other[position] === first[position]) position++;
    const lengths = `${first.length} and ${other.length} bytes`;
    findings.push(`${folder}: replica ${at + 2} parts from the first at byte ${position} (${lengths})`);
  }
  return findings.join("; ");
}
