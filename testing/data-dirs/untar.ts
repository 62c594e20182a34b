// Unpacks the .tar.gz archives of the golden data: plain files and folders, names of at most 255 bytes. Refuses a path that leaves the folder.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { gunzipSync } from "node:zlib";

const blockBytes = 512;

function textAt(block: Buffer, start: number, length: number): string {
  const bytes = block.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? length : end);
}

function octalAt(block: Buffer, start: number, length: number): number {
  return Number.parseInt(textAt(block, start, length).trim() || "0", 8);
}

/** `path=` of a pax header, which stands for the name of the next entry. */
function paxPath(content: Buffer): string | null {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(content.toString("utf8"))?.[1] ?? null;
}

/** Returns how many files there were. */
export function unpack(archive: string, folder: string): number {
  const bytes = gunzipSync(readFileSync(archive));
  let files = 0;
  let nextName: string | null = null;
  for (let at = 0; at + blockBytes <= bytes.length; ) {
    const header = bytes.subarray(at, at + blockBytes);
    if (header[0] === 0) break;
    const prefix = textAt(header, 345, 155);
    const plainName = textAt(header, 0, 100);
    const name: string = nextName ?? (prefix === "" ? plainName : `${prefix}/${plainName}`);
    const size = octalAt(header, 124, 12);
    const type = String.fromCharCode(header[156]!);
    const content = bytes.subarray(at + blockBytes, at + blockBytes + size);
    at += blockBytes + Math.ceil(size / blockBytes) * blockBytes;
    nextName = null;
    if (type === "x") nextName = paxPath(content);
    else if (type === "L") nextName = textAt(content, 0, content.length);
    else if (type === "g") continue;
    else {
      const path = normalize(name);
      if (path.startsWith("..") || path.startsWith("/")) throw new Error(`${archive}: ${name} leaves the folder`);
      if (type === "5") mkdirSync(join(folder, path), { recursive: true });
      else if (type === "0" || type === "\0") {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), content);
        files++;
      } else throw new Error(`${archive}: ${name} is of type ${type}`);
    }
  }
  return files;
}
