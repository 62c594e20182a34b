// Cuts a stream of bytes at a delimiter. What stands between two is one record; a last piece without a delimiter counts, an empty one does
// not. A piece that never ends is refused at a bound instead of being collected.
import { CliFailure } from "../failure.ts";

export const pieceBytesMax = 64 * 1024 * 1024;

export async function* splitBytes(source: AsyncIterable<Uint8Array>, delimiter: Buffer): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  const isLine = delimiter.length === 1 && delimiter[0] === 0x0a;
  for await (const chunk of source) {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    // A delimiter of several bytes may be cut between two chunks.
    if (restBytes > 0 && delimiter.length > 1) {
      bytes = Buffer.concat([...rest, bytes]);
      rest = [];
      restBytes = 0;
    }
    let from = 0;
    for (let at = bytes.indexOf(delimiter); at >= 0; at = bytes.indexOf(delimiter, from)) {
      const piece = bytes.subarray(from, at);
      yield withoutReturn(restBytes > 0 ? Buffer.concat([...rest, piece]) : piece, isLine);
      rest = [];
      restBytes = 0;
      from = at + delimiter.length;
    }
    if (from === bytes.length) continue;
    rest.push(bytes.subarray(from));
    restBytes += bytes.length - from;
    if (restBytes > pieceBytesMax) {
      throw new CliFailure(
        `a record of more than ${pieceBytesMax} bytes without a delimiter`,
        "name the delimiter with --delimiter, or send the file as one record with --input whole",
      );
    }
  }
  if (restBytes > 0) yield withoutReturn(Buffer.concat(rest), isLine);
}

/** Lines of other systems end in two characters. */
function withoutReturn(piece: Buffer, isLine: boolean): Buffer {
  return isLine && piece.length > 0 && piece[piece.length - 1] === 0x0d ? piece.subarray(0, -1) : piece;
}

/** `\n`, `\t`, `\0`, `\x1f`, `\\` in what a person types as a delimiter or a format. */
export function readEscapes(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|.)/g, (whole, code: string) => {
    if (code.startsWith("x") && code.length === 3) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    const named: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "0": "\0", "\\": "\\" };
    return named[code] ?? whole;
  });
}
