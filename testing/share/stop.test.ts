// A broker stops within 2 s while a share group is being initialized, and leaves nothing behind that keeps its process alive.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const stopMsMax = 2000;
const program = fileURLToPath(new URL("stop-process.ts", import.meta.url));

test.each([
  ["its state topic is being made", "free"],
  ["its state topic cannot be made", "blocked"],
])("%s", { timeout: 60_000 }, async (_name, how) => {
  const child = spawn(process.execPath, ["--import", "tsx", program, how], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const closedMs = performance.now();
    const match = /^closed (\d+)\n$/.exec(line.toString());
    expect(match).not.toBeNull();
    expect(Number(match![1])).toBeLessThan(stopMsMax);
    const [code] = (await once(child, "exit")) as [number | null];
    expect(code).toBe(0);
    expect(performance.now() - closedMs).toBeLessThan(stopMsMax);
  } finally {
    child.kill("SIGKILL");
  }
});
