// Values of options: collected, counted, taken apart. What is wrong with one is a usage error that names it.
import { CliFailure } from "./failure.ts";
import { exitCode } from "./io.ts";

/** For options that may be repeated. */
export function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value];
}

export function parseWhole(flag: string, text: string, minimum: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= minimum) return value;
  throw new CliFailure(`${flag} ${text} is not a whole number of ${minimum} or more`, "correct it", exitCode.usage);
}

/** `name=value` pairs; a value may hold further equals signs. */
export function parsePairs(flag: string, texts: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 1)
      throw new CliFailure(
        `${flag} ${text} is not name=value`,
        `write it as ${flag} retention.ms=86400000`,
        exitCode.usage,
      );
    pairs[text.slice(0, at)] = text.slice(at + 1);
  }
  return pairs;
}
