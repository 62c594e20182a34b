// Options of produce and consume that become options of the client: the bootstrap address, and `-X name=value` in Java's names.
import { bootstrapOf, type ConnectionFlags, securityPropertiesOf, timeoutMsOf } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { type CliIo, exitCode } from "../io.ts";

export interface PropertyFlags extends ConnectionFlags {
  readonly property?: readonly string[];
}

/** For commander: an option that may come several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** `--property` pairs and what every command has, by Java's names. */
export function propertiesOf(
  io: CliIo,
  flags: PropertyFlags,
  timeoutSetting: "default.api.timeout.ms" | "max.block.ms",
): Record<string, string> {
  const pairs: Record<string, string> = {
    "bootstrap.servers": bootstrapOf(io, flags),
    "client.id": "blum",
    ...securityPropertiesOf(io, flags),
    [timeoutSetting]: String(timeoutMsOf(flags)),
  };
  for (const text of flags.property ?? []) {
    const at = text.indexOf("=");
    if (at <= 0) throw new CliFailure(`-X ${text} is not name=value`, "write it as -X linger.ms=5", exitCode.usage);
    pairs[text.slice(0, at)] = text.slice(at + 1);
  }
  return pairs;
}

export function wholeNumberOption(option: string, text: string | undefined, minimum: number): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= minimum) return number;
  throw new CliFailure(`${option} ${text} is not a whole number from ${minimum}`, null, exitCode.usage);
}
