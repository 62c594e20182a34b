// The command line itself: help, usage errors, exit codes, completion. What commands do stands in their own tests.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commandTable } from "./command-table.ts";
import type { CliIo } from "./io.ts";
import { runBlum } from "./main.ts";

interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

async function blum(...args: string[]): Promise<Run> {
  let out = "";
  let error = "";
  const io: CliIo = {
    out(text) {
      out += text;
    },
    error(text) {
      error += text;
    },
    isTerminal: false,
    columnCount: 80,
    environment: {},
    onStopSignal: () => () => {},
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  const code = await runBlum(args, io);
  return { code, out, error };
}

test("help names every command and ends well", async () => {
  const { code, out } = await blum("--help");
  expect(code).toBe(0);
  for (const { name, summary } of commandTable)
    expect(out).toMatch(new RegExp(`${name} .*${summary.split(/[,:]/)[0]}`));
  expect(out).toContain("Examples:");
});

test.each(commandTable.map(({ name }) => [name]))("%s teaches with examples", async (name) => {
  const { code, out } = await blum(name, "--help");
  expect(code).toBe(0);
  expect(out).toContain("Examples:");
});

test.each([
  [["nonsense"]],
  [["start", "--nonsense"]],
  [["start", "--listen", "nowhere"]],
  [["start", "--set", "name"]],
  [["completion", "ksh"]],
])("%j is a usage error", async (args) => {
  const { code, error } = await blum(...args);
  expect(code).toBe(2);
  expect(error).not.toContain("    at ");
  expect(error).not.toBe("");
});

test("a near miss is answered with the command that was meant", async () => {
  expect((await blum("topc", "list")).error).toContain("Did you mean topic?");
});

test("a server.properties with faults fails with all of them, and no stack", async () => {
  const folder = mkdtempSync(join(tmpdir(), "blumfeld-cli-"));
  const path = join(folder, "server.properties");
  writeFileSync(path, "process.roles=broker,controller\nnode.id=x\n");
  const { code, error } = await blum("start", "--config", path);
  rmSync(folder, { recursive: true });
  expect(code).toBe(1);
  expect(error).toContain("node.id=x is not a whole number");
  expect(error).toContain("controller.listener.names is required");
  expect(error).not.toContain("    at ");
});

test("a file that is not there is told plainly", async () => {
  const { code, error } = await blum("start", "--config", "no-such.properties");
  expect(code).toBe(1);
  expect(error).toContain("no-such.properties");
  expect(error).not.toContain("    at ");
});

test("bash's completion script completes commands and their options", async () => {
  const { out } = await blum("completion", "bash");
  const complete = (...words: string[]): string[] => {
    const script = `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _blum; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script]).toString().trim().split("\n");
  };
  expect(complete("blum", "st")).toEqual(expect.arrayContaining(["start"]));
  expect(complete("blum", "start", "--met")).toEqual(["--metrics"]);
});
