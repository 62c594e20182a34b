// The table at the end, or one JSON document.
import type { Outcome } from "./checks.ts";

export type ClientReport = { client: string; outcomes: Outcome[]; seconds: number };

export function counts(report: ClientReport): { ok: number; failed: number; known: number } {
  const ok = report.outcomes.filter((outcome) => outcome.ok).length;
  const known = report.outcomes.filter((outcome) => outcome.known).length;
  return { ok, known, failed: report.outcomes.length - ok - known };
}

export function reportText(reports: readonly ClientReport[], title: string): string {
  const lines = [
    `\n${title}`,
    `${"client".padEnd(18)} ${"ok".padStart(5)} ${"FAIL".padStart(5)} ${"known".padStart(5)} ${"s".padStart(7)}`,
  ];
  const total = { ok: 0, failed: 0, known: 0, seconds: 0 };
  for (const report of reports) {
    const { ok, failed, known } = counts(report);
    total.ok += ok;
    total.failed += failed;
    total.known += known;
    total.seconds += report.seconds;
    lines.push(row(report.client, ok, failed, known, report.seconds));
  }
  lines.push(row("total", total.ok, total.failed, total.known, total.seconds));
  for (const report of reports) {
    for (const outcome of report.outcomes) {
      if (!outcome.ok)
        lines.push(
          `${outcome.known ? "known" : "FAIL "} ${report.client}: ${outcome.name}: ${outcome.why.slice(0, 600)}`,
        );
    }
  }
  return `${lines.join("\n")}\n`;
}

function row(name: string, ok: number, failed: number, known: number, seconds: number): string {
  const cells = [ok, failed, known].map((count) => `${count}`.padStart(5)).join(" ");
  return `${name.padEnd(18)} ${cells} ${seconds.toFixed(1).padStart(7)}`;
}

export function reportJson(reports: readonly ClientReport[], against: string): string {
  const failed = reports.reduce((sum, report) => sum + counts(report).failed, 0);
  return `${JSON.stringify({ against, failed, clients: reports.map((report) => ({ ...report, ...counts(report) })) }, null, 1)}\n`;
}
