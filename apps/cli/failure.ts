// How a command fails: one plain sentence, what to do next, and the exit code. No stack for what a user can mend.
import { exitCode } from "./io.ts";

export class CliFailure extends Error {
  override name = "CliFailure";
  readonly nextStep: string | null;
  readonly exitCode: number;
  constructor(message: string, nextStep: string | null = null, code: number = exitCode.failed) {
    super(message);
    this.nextStep = nextStep;
    this.exitCode = code;
  }
}

export interface FailureText {
  readonly message: string;
  readonly nextStep: string | null;
  readonly exitCode: number;
}

/** A sentence for any error that reaches the top. What nobody foresaw keeps its stack: it is ours to mend. */
export function tellFailure(error: unknown): FailureText {
  if (error instanceof CliFailure)
    return { message: error.message, nextStep: error.nextStep, exitCode: error.exitCode };
  const { code, name, message, stack, nextStep } = error as Partial<Error & { code: string; nextStep: string }>;
  // Errors of the server and the client that are meant for people carry what to do next.
  if (typeof nextStep === "string")
    return { message: message ?? "", nextStep: nextStep === "" ? null : nextStep, exitCode: exitCode.failed };
  if (name === "KafkaError") return { message: message ?? "", nextStep: null, exitCode: exitCode.failed };
  const known = typeof code === "string" ? systemFailures[code] : undefined;
  if (known !== undefined) return { message: `${message}`, nextStep: known, exitCode: exitCode.failed };
  return { message: stack ?? String(error), nextStep: "please report this", exitCode: exitCode.failed };
}

/** What to do about an error of the system. */
const systemFailures: Readonly<Record<string, string>> = {
  EACCES: "check who may read and write there, or run as another user",
  EADDRINUSE: "stop what listens there, or choose another address with --listen HOST:PORT",
  EADDRNOTAVAIL: "choose an address of this machine with --listen HOST:PORT",
  ECONNREFUSED: "is a broker running there? `blum start` starts one; --bootstrap HOST:PORT names another",
  EMFILE: "raise the limit of open files (ulimit -n)",
  ENOENT: "check the path",
  ENOSPC: "free space on that file system and start again; what was acknowledged is safe",
  ENOTFOUND: "check the host's name",
  EROFS: "choose a directory on a file system that can be written",
};
