// Why a node does not start, for the person who started it: what was found, and the next step.
import { DiskError } from "@blumfeld/core/base";
import { formatHostAndPort } from "@blumfeld/core/model/settings";

export type StartRefusalCode =
  | "address"
  | "directory-in-use"
  | "directory-foreign"
  | "disk"
  | "metrics-address"
  | "unsupported";

export class StartRefused extends Error {
  override name = "StartRefused";
  readonly code: StartRefusalCode;
  readonly nextStep: string;
  constructor(code: StartRefusalCode, message: string, nextStep: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.nextStep = nextStep;
  }
}

export function addressRefused(
  error: unknown,
  what: "clients" | "controllers" | "metrics",
  host: string,
  port: number,
): unknown {
  const code = (error as { code?: unknown }).code;
  const address = formatHostAndPort(host, port);
  const refusalCode = what === "metrics" ? "metrics-address" : "address";
  const choices = {
    clients: "with --listen HOST:PORT",
    controllers: "for the controller in the setting listeners",
    metrics: "with --metrics HOST:PORT",
  };
  const other = `choose another address ${choices[what]}`;
  switch (code) {
    case "EADDRINUSE":
      return new StartRefused(
        refusalCode,
        `${address} is taken: another process listens there`,
        `stop it, or ${other}`,
        error,
      );
    case "EACCES":
      return new StartRefused(
        refusalCode,
        `${address} may not be bound by this user`,
        `take a port above 1023: ${other}`,
        error,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new StartRefused(refusalCode, `${address} is no address of this machine`, other, error);
    default:
      return error;
  }
}

const diskSteps: Readonly<Record<string, string>> = {
  ENOSPC: "free space on that file system and start again; what was acknowledged is safe",
  EDQUOT: "free space or raise the quota and start again; what was acknowledged is safe",
  EACCES: "give this user the right to read and write there, or choose another directory with --data",
  EPERM: "give this user the right to read and write there, or choose another directory with --data",
  EROFS: "choose a directory on a file system that can be written, with --data",
  ENOTDIR: "a part of that path is a file; choose another directory with --data",
  EIO: "the device failed: check it before starting again",
  EMFILE: "raise the limit of open files (ulimit -n)",
};

/** A DiskError told plainly; any other error as it is. */
export function diskRefused(error: unknown): unknown {
  if (!(error instanceof DiskError)) return error;
  const step = diskSteps[error.code];
  return step === undefined
    ? error
    : new StartRefused("disk", `${error.path}: ${whatHappened(error.code)}`, step, error);
}

function whatHappened(code: string): string {
  if (code === "ENOSPC" || code === "EDQUOT") return "the disk is full";
  if (code === "EACCES" || code === "EPERM") return "no right to use it";
  if (code === "EROFS") return "the file system is read-only";
  return code;
}
