// The README's commands and programs, run as they stand there, and their output compared with what it says. Ports and times differ from
// machine to machine and are masked.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningBroker, startBroker } from "./index.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "blumfeld-readme-"));
let broker: RunningBroker;
beforeAll(async () => {
  broker = await startBroker({ storage: "memory", port: 0 });
});
afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, text]) => text!);
}

interface Step {
  readonly command: string;
  readonly output: string;
}

function stepsOf(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return { command: part.slice(0, end), output: part.slice(end + 1) };
    });
}

function runShell(
  command: string,
  options: { readonly cwd: string; readonly env?: Record<string, string> },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...options.env, NO_COLOR: "1", PATH: `${join(root, "bin")}:${process.env.PATH}` };
    const child = spawn("bash", ["-c", `{ ${command}\n} 2>&1`], { cwd: options.cwd, env });
    let output = "";
    child.stdout.on("data", (bytes) => {
      output += bytes;
    });
    child.on("error", reject);
    child.on("close", () => resolve(output));
  });
}

/** Trailing blanks are a table's affair. */
function plain(text: string): string {
  return text.replace(/ +$/gm, "").replace(/in \d+ ms/g, "in N ms");
}

describe.skipIf(!existsSync(join(root, "dist", "blum.mjs")))("commands", () => {
  const steps = blocks("console").flatMap(stepsOf);
  test("there are some", () => expect(steps.length).toBeGreaterThan(6));
  for (const { command, output } of steps) {
    test(command, async () => {
      const said = await runShell(command, { cwd: folder, env: { BLUM_BOOTSTRAP: broker.bootstrap } });
      expect(plain(said)).toBe(plain(output));
    });
  }

  test("npm start says that it is ready", async () => {
    const [ready = ""] = blocks("text");
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    // As the script has it, on a free port, stopped after a second.
    const command = scripts.start!.replace("node bin/blum", `node ${join(root, "bin", "blum")}`);
    const said = await runShell(`${command} --listen 0 & sleep 2; kill -TERM $!; wait $!`, { cwd: folder });
    expect(plain(said).replace(/127\.0\.0\.1:\d+/, "127.0.0.1:9092")).toBe(plain(ready));
  });
});

test("programs", async () => {
  const programs = blocks("ts");
  const outputs = blocks("text").slice(1);
  expect(programs).toHaveLength(outputs.length);
  // Inside the project, where its packages are found.
  const place = join(root, "node_modules", ".cache", "readme");
  mkdirSync(place, { recursive: true });
  for (const [index, program] of programs.entries()) {
    const file = join(place, `program-${index}.mts`);
    writeFileSync(file, program);
    expect(await runShell(`node --import tsx ${file}`, { cwd: root })).toBe(outputs[index]);
  }
});
