// One command of `blum` before its module is loaded.
import type { Command } from "commander";
import type { CliIo } from "./io.ts";

export interface CommandRow {
  readonly name: string;
  readonly summary: string;
  load(io: CliIo): Promise<Command>;
}
