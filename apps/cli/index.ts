// The blum command for programs: its entry, and the pieces that a command of one's own needs.
export type { CliIo } from "./io.ts";
export { main, runBlum } from "./main.ts";
