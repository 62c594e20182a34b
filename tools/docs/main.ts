// Writes the generated documents, or with --check tells which are not current. Part of `npm run codegen`.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cliDocument } from "./cli.ts";
import { compatibilityDocument } from "./compatibility.ts";
import { configurationDocument } from "./configuration.ts";
import { errorsDocument } from "./errors.ts";
import { metricsDocument } from "./metrics.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const docs = join(root, "docs");
const documents: Readonly<Record<string, string>> = {
  "cli.md": await cliDocument(),
  "compatibility.md": compatibilityDocument(root),
  "configuration.md": configurationDocument(),
  "errors.md": errorsDocument(),
  "metrics.md": metricsDocument(root),
};

const wrong = Object.entries(documents).filter(([name, text]) => {
  const path = join(docs, name);
  return !existsSync(path) || readFileSync(path, "utf8") !== text;
});
if (process.argv.includes("--check")) {
  for (const [name] of wrong) process.stdout.write(`docs/${name} is not current; run npm run codegen\n`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} else {
  for (const [name, text] of wrong) writeFileSync(join(docs, name), text);
  process.stdout.write(`docs: ${wrong.length === 0 ? "all current" : wrong.map(([name]) => name).join(", ")}\n`);
}
