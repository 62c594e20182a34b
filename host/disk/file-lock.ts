// The exclusive lock file of a data directory. Node has no advisory locks, so the file says who holds it: the process id and, where the
// system tells it, when that process began, so that a recycled process id is not taken for the holder. Kafka leaves an empty `.lock` behind
// and holds it by the system's own lock while it runs; on Linux that lock is looked up as well.
import { linkSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import type { DiskLock } from "@blumfeld/core/base";
import { diskFailure } from "./disk-failure.ts";

/** Locks of this process, by path: the holder's process id alone could not tell two brokers in one process apart. */
const heldHere = new Set<string>();

/** Null while another holds it. */
export function takeLock(path: string): DiskLock | null {
  if (heldHere.has(path)) return null;
  const own = `${process.pid} ${processStart(process.pid)}\n`;
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      if (writeNew(path, own)) return holdLock(path, own);
      if (isHeldBySystem(path)) return null;
      const holder = readText(path);
      if (holder === null) continue;
      if (isAlive(holder)) return null;
      removeStale(path, holder);
    }
    return null;
  } catch (error) {
    throw diskFailure(error, path, "lock");
  }
}

function holdLock(path: string, own: string): DiskLock {
  heldHere.add(path);
  let isReleased = false;
  return {
    release(): void {
      if (isReleased) return;
      isReleased = true;
      heldHere.delete(path);
      if (readText(path) === own) unlinkSync(path);
    },
  };
}

function writeNew(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    throw error;
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}

function isAlive(holder: string): boolean {
  const [pidText, start] = holder.trim().split(" ");
  const pid = Number(pidText);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  // This process does not hold it (see heldHere): an earlier process with the same id did, as in a container, where ids repeat.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code === "ESRCH") return false;
  }
  const startNow = processStart(pid);
  return start === undefined || startNow === "" || start === startNow;
}

/** The 22nd field of /proc/PID/stat; empty where there is no such file. */
function processStart(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`);
  return stat === null ? "" : (stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "");
}

/** Moves the stale file aside before it goes: two that find it stale must not both remove what the faster one has made since. */
function removeStale(path: string, expected: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (readText(aside) !== expected) {
    try {
      linkSync(aside, path);
    } catch {
      // A third one has made a new file meanwhile; the owner of the moved one finds out when it releases.
    }
  }
  unlinkSync(aside);
}

function isHeldBySystem(path: string): boolean {
  const locks = readText("/proc/locks");
  if (locks === null || locks === "") return false;
  const { ino } = statSync(path);
  return locks.split("\n").some((line) => line.split(/\s+/)[5]?.endsWith(`:${ino}`));
}
