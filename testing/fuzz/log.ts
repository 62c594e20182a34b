// npm run fuzz -- log: the log against losses of power, cut and stale files and flipped bits. Everything comes from seeds that a finding names.
import { runCrashHistory } from "../log/crash-run.ts";
import { cutEverywhere, type DamageReport, flipBits, makeDamageSubject, staleSectors } from "../log/file-damage.ts";

export interface LogFuzzOptions {
  readonly seed: number;
  /** Random histories with losses of power. */
  readonly histories: number;
  readonly bitFlips: number;
  /** 1: files are cut at every byte of their last 64 KiB. */
  readonly cutStride: number;
  readonly onProgress: (what: string, done: number, total: number) => void;
}

/** Prints a line for each part. False where there was a finding. */
export async function fuzzLog(options: LogFuzzOptions): Promise<boolean> {
  const { seed, histories, onProgress } = options;
  const findings: string[] = [];
  let compactions = 0;
  for (let index = 0; index < histories; index++) {
    if (index % 50 === 0) onProgress("histories", index, histories);
    try {
      compactions += (await runCrashHistory(seed + index)).compactions;
    } catch (error) {
      findings.push(`history of seed ${seed + index}: ${(error as Error).message}`);
    }
  }
  tell("losses of power", { cases: histories, findings }, `${compactions} compactions`);
  const subject = await makeDamageSubject(seed);
  const cuts = await cutEverywhere(subject, options.cutStride);
  tell("cut files", cuts, `every ${options.cutStride === 1 ? "byte" : `${options.cutStride} bytes`}`);
  const sectors = await staleSectors(subject, 1);
  tell("sectors of zeros and old bytes", sectors, "each of 512 bytes");
  const flips = await flipBits(subject, options.bitFlips, seed);
  tell("flipped bits", flips, "in files of every kind");
  return [findings, cuts.findings, sectors.findings, flips.findings].every((found) => found.length === 0);
}

function tell(what: string, { cases, findings }: DamageReport, figures: string): void {
  process.stdout.write(`${what}: ${cases.toLocaleString("en-US")} cases, ${figures}, ${findings.length} findings\n`);
  for (const finding of findings) process.stdout.write(`  ${finding}\n`);
}
