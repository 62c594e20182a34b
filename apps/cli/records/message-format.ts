// The format string of `blum consume -f`, as kcat's: %t topic, %p partition, %o offset, %k key, %s value, %T timestamp, %h headers, %K and
// %S their lengths (-1 for null), %R the value's length as 4 bytes, %% a percent sign; \n, \t, \xNN. Parsed once, applied to each message.
import type { Message } from "@blumfeld/client";
import { CliFailure } from "../failure.ts";
import { exitCode } from "../io.ts";
import { readEscapes } from "./delimited.ts";
import type { OutputSink } from "./streams.ts";

type Piece = string | ((message: Message, nullText: string) => string | Uint8Array);

function binaryLength(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(length);
  return bytes;
}

function headersText(message: Message): string {
  return message.headers
    .map(({ key, value }) => `${key}=${value === null ? "NULL" : value.toString("utf8")}`)
    .join(",");
}

const directives: Readonly<Record<string, Exclude<Piece, string>>> = {
  t: ({ topic }) => topic,
  p: ({ partition }) => String(partition),
  o: ({ offset }) => String(offset),
  T: ({ timestamp }) => String(timestamp),
  k: ({ key }, nullText) => key ?? nullText,
  s: ({ value }, nullText) => value ?? nullText,
  h: headersText,
  K: ({ keyLength }) => String(keyLength),
  S: ({ valueLength }) => String(valueLength),
  R: ({ valueLength }) => binaryLength(valueLength),
};

export class MessageFormat {
  readonly #pieces: Piece[] = [];
  readonly #nullText: string;

  /** `nullText` stands for a null key or value. Throws a usage failure. */
  constructor(format: string, nullText: string) {
    this.#nullText = nullText;
    for (const [, percent, plain] of format.matchAll(/%(.?)|((?:[^%\\]|\\.|\\$)+)/gs)) {
      if (plain !== undefined) this.#pieces.push(readEscapes(plain));
      else if (percent === "%") this.#pieces.push("%");
      else {
        const directive = directives[percent!];
        if (directive === undefined) {
          const known = Object.keys(directives).map((name) => `%${name}`);
          throw new CliFailure(`--format: %${percent} names nothing`, `use ${known.join(" ")} or %%`, exitCode.usage);
        }
        this.#pieces.push(directive);
      }
    }
  }

  write(sink: OutputSink, message: Message): void {
    for (const piece of this.#pieces) sink.write(typeof piece === "string" ? piece : piece(message, this.#nullText));
  }
}
