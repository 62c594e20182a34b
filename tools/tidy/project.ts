// Rules for the project as a whole: the lock file, the README, and that everything a user can meet is documented.
import type { Finding, SourceFile } from "./finding.ts";

export interface ProjectFacts {
  /** All names of settings that a server.properties or a topic may hold. */
  readonly settingNames: readonly string[];
  /** All error names that a broker may answer. */
  readonly errorNames: readonly string[];
}

export function projectFindings(files: readonly SourceFile[], facts: ProjectFacts): Finding[] {
  const textOf = (path: string): string | null => files.find((file) => file.path === path)?.text ?? null;
  return [
    ...lockFindings(textOf("package-lock.json")),
    ...readmeFindings(textOf("README.md")),
    ...documentedFindings("docs/configuration.md", textOf("docs/configuration.md"), "setting", facts.settingNames),
    ...documentedFindings("docs/errors.md", textOf("docs/errors.md"), "error", facts.errorNames),
    ...documentedFindings("docs/metrics.md", textOf("docs/metrics.md"), "metric", metricNames(files)),
  ];
}

function lockFindings(text: string | null): Finding[] {
  const file = "package-lock.json";
  if (text === null) return [{ file, line: 0, rule: "lock", message: "is missing: npm ci needs it" }];
  return text.split("\n").flatMap((line, index) =>
    /"resolved": "(https?|git|ssh)/.test(line)
      ? [
          {
            file,
            line: index + 1,
            rule: "lock",
            message:
              "names a registry's host; keep omit-lockfile-registry-resolved=true in .npmrc and make the file anew",
          },
        ]
      : [],
  );
}

function readmeFindings(text: string | null): Finding[] {
  return ["npm ci && npm start", "npm ci && npm test"].flatMap((command) =>
    text?.includes(command)
      ? []
      : [{ file: "README.md", line: 0, rule: "readme", message: `lacks the command ${command}` }],
  );
}

function documentedFindings(file: string, text: string | null, what: string, names: readonly string[]): Finding[] {
  if (text === null)
    return names.length === 0
      ? []
      : [{ file, line: 0, rule: "documented", message: `is missing; it documents each ${what}` }];
  return names.flatMap((name) =>
    text.includes(`\`${name}\``)
      ? []
      : [{ file, line: 0, rule: "documented", message: `says nothing of the ${what} ${name}` }],
  );
}

/** Names given to the Meter port anywhere in what ships. */
export function metricNames(files: readonly SourceFile[]): string[] {
  const names = new Set<string>();
  for (const { path, text } of files) {
    if (
      !/^(core|host|broker|client|platform|apps)\/.*\.ts$/.test(path) ||
      /\.(test|golden|sim|fuzz|bench)\.ts$/.test(path)
    )
      continue;
    for (const [, name] of text.matchAll(/\.(?:counter|gauge|histogram|observedCounter)\(\s*"([a-z][a-z0-9_]*)"/g))
      names.add(name!);
  }
  return [...names].sort();
}
