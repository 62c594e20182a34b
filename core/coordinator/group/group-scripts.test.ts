// The state machines of groups as scripts (testdata/*.txt): commands and what comes of them. `UPDATE_SCRIPTS=1` writes what really came; read the
// difference before it is kept.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ScriptRunner } from "./fixture/script-runner.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "testdata");

describe("the groups of", () => {
  it.each(readdirSync(folder).filter((name) => name.endsWith(".txt")))("%s", (name) => {
    const path = join(folder, name);
    const script = readFileSync(path, "utf8");
    const ran = new ScriptRunner().run(script);
    if (process.env.UPDATE_SCRIPTS === "1") writeFileSync(path, ran);
    else expect(ran).toBe(script);
  });
});
