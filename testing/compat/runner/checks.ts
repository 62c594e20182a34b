// What programs print and what becomes of it. A program prints `ok NAME` or `FAIL NAME: why` a line for each check, and `done` as its
// last line: without it the program ended early, which is a failure of its own. All other lines are its log.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compatDir } from "./cache.ts";
import type { CommandResult } from "./process.ts";

export type Check = { name: string; ok: boolean; why: string };

export function parseChecks(output: string, result: Pick<CommandResult, "code" | "timedOut">): Check[] {
  const checks: Check[] = [];
  let done = false;
  for (const line of output.split("\n")) {
    const okMatch = /^ok (.+)$/.exec(line);
    const failMatch = /^FAIL (.+?): (.*)$/.exec(line);
    if (okMatch !== null) checks.push({ name: okMatch[1]!.trim(), ok: true, why: "" });
    else if (failMatch !== null) checks.push({ name: failMatch[1]!.trim(), ok: false, why: failMatch[2]! });
    else if (line.trim() === "done") done = true;
  }
  if (result.timedOut) checks.push({ name: "end", ok: false, why: "the program reached its deadline" });
  else if (!done) checks.push({ name: "end", ok: false, why: `the program ended early, exit code ${result.code}` });
  const seen = new Set<string>();
  for (const { name } of [...checks]) {
    if (seen.has(name)) checks.push({ name, ok: false, why: "two checks bear this name" });
    seen.add(name);
  }
  return checks;
}

/** A check that fails against our broker for a known, dated reason. The list may only shrink. */
export type KnownDifference = { check: string; why: string; since: string };

export function knownDifferences(client: { name: string; folder?: string }): KnownDifference[] {
  const { name, folder } = client;
  const file =
    folder === undefined
      ? join(compatDir, name, "known-differences.json")
      : join(compatDir, folder, `known-differences-${name}.json`);
  if (!existsSync(file)) return [];
  return JSON.parse(readFileSync(file, "utf8")) as KnownDifference[];
}

export type Outcome = Check & { known: boolean };

/** Marks known failures; a known difference whose check passes or is gone is a failure, so that the list shrinks. */
export function judge(checks: readonly Check[], known: readonly KnownDifference[]): Outcome[] {
  const outcomes: Outcome[] = checks.map((check) => ({
    ...check,
    known: !check.ok && known.some((row) => row.check === check.name),
  }));
  for (const row of known) {
    const found = checks.find((check) => check.name === row.check);
    if (found !== undefined && !found.ok) continue;
    const why = found === undefined ? "no such check was run" : "it passes now";
    outcomes.push({ name: row.check, ok: false, known: false, why: `${why}: remove it from known-differences.json` });
  }
  return outcomes;
}
