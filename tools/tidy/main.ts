// npm run lint, second half: the rules of this house that biome does not know. Prints what it finds, ends with 1 when any of it must be mended.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brokerDefinitions, groupDefinitions, topicDefinitions } from "@blumfeld/core/model/settings";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { Finding, SourceFile } from "./finding.ts";
import { houseFindings } from "./house.ts";
import { importFindings } from "./imports.ts";
import { projectFindings } from "./project.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

function readTree(): SourceFile[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  return listed
    .toString()
    .split("\0")
    .filter((path) => /\.(ts|mjs|json|md|sh|yml|java|toml)$|^\.ci\/|^bin\//.test(path) && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

const files = readTree();
const documented = { ...brokerDefinitions, ...topicDefinitions, ...groupDefinitions };
const findings: Finding[] = [
  ...files.flatMap(importFindings),
  ...files.flatMap((file) => houseFindings(file, [`${root}/`, `${homedir()}/`])),
  ...projectFindings(files, {
    settingNames: Object.keys(documented).filter((name) => !documented[name as keyof typeof documented].internal),
    errorNames: Object.keys(ErrorCode),
  }),
];
for (const { file, line, rule, message, isWarning } of findings) {
  process.stdout.write(
    `${isWarning ? "warn " : "error"} ${file}${line > 0 ? `:${line}` : ""}  ${message}  [${rule}]\n`,
  );
}
const errorCount = findings.filter(({ isWarning }) => isWarning !== true).length;
process.stdout.write(`tidy: ${files.length} files, ${errorCount} errors, ${findings.length - errorCount} warnings\n`);
process.exitCode = errorCount === 0 ? 0 : 1;
