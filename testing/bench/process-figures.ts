// What the kernel says of a process: CPU time, memory, open files. Linux only, like the figures the project promises.
import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks a second in /proc (sysconf _SC_CLK_TCK), 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** User and system seconds of all threads since the process began. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field may hold spaces and brackets; the fields after its last bracket are plain. utime and stime are the 14th and 15th.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Resident memory in MB (10^6 bytes). */
export function residentMegabytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (match === null) throw new Error(`process ${pid} tells no resident size`);
  return (Number(match[1]) * 1024) / 1e6;
}

/** Open descriptors that are regular files or directories: sockets, pipes and event descriptors left out. */
export function openFileCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
