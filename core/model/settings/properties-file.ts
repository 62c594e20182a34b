// Java's `.properties` syntax, which Kafka's configuration files and meta.properties are written in. Text in, pairs out; opens no file.

export interface Pair {
  readonly name: string;
  readonly value: string;
  /** Of the pair's first line, from 1; absent for pairs that came from elsewhere. */
  readonly line?: number;
}

const simpleEscapes: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

/**
 * UTF-8 where the bytes are UTF-8, ISO 8859-1 (Java's default, as Kafka reads them) otherwise. A name given twice stays twice, in order:
 * the last one counts.
 */
export function parseProperties(source: Uint8Array | string): Pair[] {
  const pairs: Pair[] = [];
  for (const { text, line } of logicalLines(typeof source === "string" ? source : decoded(source))) {
    const end = nameEnd(text);
    const rest = text.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, "");
    pairs.push({ name: unescaped(text.slice(0, end)), value: unescaped(rest), line });
  }
  return pairs;
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString("latin1");
  }
}

/** Comments and blank lines are gone, continued lines joined without the blanks that open them. */
function* logicalLines(source: string): Generator<{ text: string; line: number }> {
  const lines = source.split(/\r\n|\r|\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    let text = lines[at]!.replace(/^[ \t\f]+/, "");
    if (text === "" || text.startsWith("#") || text.startsWith("!")) continue;
    while (endsInBackslash(text) && at + 1 < lines.length) {
      at += 1;
      text = text.slice(0, -1) + lines[at]!.replace(/^[ \t\f]+/, "");
    }
    yield { text: endsInBackslash(text) ? text.slice(0, -1) : text, line };
  }
}

function endsInBackslash(text: string): boolean {
  let count = 0;
  while (text[text.length - 1 - count] === "\\") count++;
  return count % 2 === 1;
}

/** Where the first `=`, `:` or blank stands that no backslash precedes. */
function nameEnd(text: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\") at += 1;
    else if (/[=: \t\f]/.test(text[at]!)) return at;
  }
  return text.length;
}

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_all, hex: string | undefined, char: string | undefined) =>
    hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : (simpleEscapes[char!] ?? char!),
  );
}

/** As Java's `Properties.store` would write them, sorted by nothing: the order is the caller's. */
export function formatProperties(
  pairs: Iterable<readonly [name: string, value: string]>,
  comments: readonly string[] = [],
): string {
  const lines = comments.map((comment) => `#${comment}`);
  for (const [name, value] of pairs) lines.push(`${escaped(name, true)}=${escaped(value, false)}`);
  return `${lines.join("\n")}\n`;
}

function escaped(text: string, isName: boolean): string {
  const all = text.replace(/[\\\t\n\r\f=:#!]|[^\x20-\x7e]/g, (char) => {
    const simple = { "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f" }[char];
    if (simple !== undefined) return simple;
    if (char.length === 1 && char > "\x1f" && char < "\x7f") return `\\${char}`;
    return `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
  return isName ? all.replaceAll(" ", "\\ ") : all.replace(/^ /, "\\ ");
}
