// Where `--from` and `--until` point: beginning, end, an offset, that many before the end, or a time.
import type { StartAt } from "@blumfeld/client";
import { CliFailure } from "../failure.ts";
import { exitCode } from "../io.ts";

/** `@1700000000000`, `@2024-03-01`, `@2024-03-01T12:00:00Z`; a date without a zone is UTC. Null: not a time. */
function timeOf(text: string): number | null {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return Number.isSafeInteger(number) ? number : null;
  }
  const match = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?))?(Z|[+-]\d{2}:\d{2})?$/.exec(text);
  if (match === null) return null;
  const timestamp = Date.parse(`${match[1]}T${match[2] ?? "00:00"}${match[3] ?? "Z"}`);
  return Number.isNaN(timestamp) ? null : timestamp;
}

/** Throws a usage failure that names the option. */
export function parseOffsetSpec(option: string, text: string): StartAt {
  if (text === "beginning" || text === "earliest") return "beginning";
  if (text === "end" || text === "latest") return "end";
  if (/^-?\d+$/.test(text)) {
    const offset = Number(text);
    if (Number.isSafeInteger(offset) && !Object.is(offset, -0)) return offset;
  }
  const timestamp = text.startsWith("@") ? timeOf(text.slice(1)) : null;
  if (timestamp !== null) return { timestamp };
  throw new CliFailure(
    `${option} ${text} is no place in a topic`,
    "use beginning, end, an offset (5), so many before the end (-5), or a time (@2024-03-01T12:00:00Z, @1709294400000)",
    exitCode.usage,
  );
}
