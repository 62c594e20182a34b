// docs/metrics.md from the places where metrics are made: name and help stand there as literals.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Metric {
  readonly name: string;
  readonly kind: string;
  readonly help: string;
}

const made = /\.(counter|gauge|histogram|observedCounter)\(\s*"([a-z][a-z0-9_]*)",\s*"((?:[^"\\]|\\.)*)"/g;

function metricsIn(text: string): Metric[] {
  return [...text.matchAll(made)].map(([, kind, name, help]) => ({
    name: name!,
    kind: kind === "observedCounter" ? "counter" : kind!,
    help: help!,
  }));
}

export function metricsDocument(root: string): string {
  const metrics = new Map<string, Metric>();
  for (const layer of ["core", "host", "broker", "client", "platform", "apps"]) {
    let entries: { name: string; parentPath: string }[] = [];
    try {
      entries = readdirSync(join(root, layer), { recursive: true, withFileTypes: true });
    } catch {
      continue;
    }
    for (const { name, parentPath } of entries) {
      if (
        !name.endsWith(".ts") ||
        /\.(test|golden|sim|fuzz|bench)\.ts$/.test(name) ||
        parentPath.includes("node_modules")
      )
        continue;
      for (const metric of metricsIn(readFileSync(join(parentPath, name), "utf8"))) metrics.set(metric.name, metric);
    }
  }
  const lines = [...metrics.values()]
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .map(({ name, kind, help }) => `| \`${name}\` | ${kind} | ${help} |`);
  return `# Metrics

Generated from the source by \`npm run codegen\`. \`blum start --metrics HOST:PORT\` serves them for Prometheus at \`/metrics\`, and \`/health\` beside them;
\`startBroker()\` gives the same text through \`broker.metrics()\`.

| metric | kind | what it says |
| --- | --- | --- |
${lines.join("\n")}
`;
}
