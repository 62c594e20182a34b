// Parses the regular expressions that consumers subscribe with (KIP-848), in the syntax of RE2: no back-references, no look-around, so that
// matching takes linear time whatever the pattern. Refuses with the place and the reason; every bound is named here.

/** Patterns are sent in every member's heartbeat and kept in the group's records. */
export const patternCharactersMax = 10_240;
/** As RE2: larger counted repetitions are refused. */
export const repetitionMax = 1000;
/** Groups within groups. */
export const nestingMax = 100;

/** Inclusive ranges of UTF-16 code units, sorted, without overlap. */
export type CharacterSet = readonly (readonly [from: number, to: number])[];

export type Node =
  | { readonly kind: "empty" }
  | { readonly kind: "set"; readonly set: CharacterSet }
  | { readonly kind: "concat"; readonly nodes: readonly Node[] }
  | { readonly kind: "alternate"; readonly nodes: readonly Node[] }
  | { readonly kind: "repeat"; readonly node: Node; readonly min: number; readonly max: number }
  | { readonly kind: "assert"; readonly what: "begin" | "end" | "word-boundary" | "not-word-boundary" };

export class RegexProblem extends Error {
  override name = "RegexProblem";
  readonly at: number;
  constructor(reason: string, at: number) {
    super(`${reason} at character ${at}`);
    this.at = at;
  }
}

const unitMax = 0xffff;
const digits: CharacterSet = [[0x30, 0x39]];
const words: CharacterSet = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const spaces: CharacterSet = [
  [0x09, 0x0a],
  [0x0c, 0x0d],
  [0x20, 0x20],
];
const posixClasses: Readonly<Record<string, CharacterSet>> = {
  alnum: union(
    [[0x30, 0x39]],
    [
      [0x41, 0x5a],
      [0x61, 0x7a],
    ],
  ),
  alpha: [
    [0x41, 0x5a],
    [0x61, 0x7a],
  ],
  ascii: [[0, 0x7f]],
  blank: [
    [0x09, 0x09],
    [0x20, 0x20],
  ],
  cntrl: [
    [0, 0x1f],
    [0x7f, 0x7f],
  ],
  digit: digits,
  graph: [[0x21, 0x7e]],
  lower: [[0x61, 0x7a]],
  print: [[0x20, 0x7e]],
  punct: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x5b, 0x60],
    [0x7b, 0x7e],
  ],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
  ],
  upper: [[0x41, 0x5a]],
  word: words,
  xdigit: [
    [0x30, 0x39],
    [0x41, 0x46],
    [0x61, 0x66],
  ],
};

export function union(...sets: readonly CharacterSet[]): CharacterSet {
  const sorted = sets.flat().sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = merged[merged.length - 1];
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

export function complement(set: CharacterSet): CharacterSet {
  const result: [number, number][] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) result.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= unitMax) result.push([next, unitMax]);
  return result;
}

/** Adds the other case of ASCII letters. */
function foldCase(set: CharacterSet): CharacterSet {
  const folded: [number, number][] = [];
  for (const [from, to] of set) {
    for (const [low, high, shift] of [
      [0x41, 0x5a, 32],
      [0x61, 0x7a, -32],
    ] as const) {
      if (from <= high && to >= low) folded.push([Math.max(from, low) + shift, Math.min(to, high) + shift]);
    }
  }
  return union(set, folded);
}

interface Flags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
}

class Parser {
  private readonly text: string;
  private at = 0;
  private depth = 0;
  private flags: Flags = { ignoreCase: false, dotAll: false };

  constructor(text: string) {
    this.text = text;
  }

  parse(): Node {
    const node = this.alternation();
    if (this.at < this.text.length) this.fail("unmatched )");
    return node;
  }

  private fail(reason: string, at = this.at): never {
    throw new RegexProblem(reason, at);
  }

  private get next(): string {
    return this.text[this.at] ?? "";
  }

  private takes(text: string): boolean {
    if (!this.text.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  private alternation(): Node {
    const nodes = [this.concatenation()];
    while (this.takes("|")) nodes.push(this.concatenation());
    return nodes.length === 1 ? nodes[0]! : { kind: "alternate", nodes };
  }

  private concatenation(): Node {
    const nodes: Node[] = [];
    while (this.at < this.text.length && this.next !== "|" && this.next !== ")") nodes.push(this.repetition());
    return nodes.length === 0 ? { kind: "empty" } : nodes.length === 1 ? nodes[0]! : { kind: "concat", nodes };
  }

  private repetition(): Node {
    let node = this.atom();
    for (let count = 0; ; count++) {
      const startedAt = this.at;
      const range = this.repetitionRange();
      if (range === null) return node;
      if (count > 0) this.fail("a repetition of a repetition", startedAt);
      // Lazy forms match the same whole names.
      if (!this.takes("?") && this.next === "+") this.fail("possessive repetition");
      node = { kind: "repeat", node, ...range };
    }
  }

  private repetitionRange(): { min: number; max: number } | null {
    if (this.takes("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.takes("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.takes("?")) return { min: 0, max: 1 };
    // A brace that is no counted repetition is a literal, as in RE2.
    const match = /^\{(\d+)(?:(,)(\d*))?\}/.exec(this.text.slice(this.at, this.at + 24));
    if (match === null) return null;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? Number.POSITIVE_INFINITY : Number(match[3]);
    if (min > repetitionMax || (max !== Number.POSITIVE_INFINITY && max > repetitionMax))
      this.fail(`a repetition of more than ${repetitionMax}`);
    if (max < min) this.fail("a repetition whose bounds are exchanged");
    this.at += match[0].length;
    return { min, max };
  }

  private atom(): Node {
    const startedAt = this.at;
    const character = this.next;
    this.at++;
    switch (character) {
      case "(":
        return this.group(startedAt);
      case "[":
        return { kind: "set", set: this.fold(this.bracket(startedAt)) };
      case ".":
        return { kind: "set", set: this.flags.dotAll ? [[0, unitMax]] : complement([[0x0a, 0x0a]]) };
      case "^":
        return { kind: "assert", what: "begin" };
      case "$":
        return { kind: "assert", what: "end" };
      case "\\":
        return this.escape(startedAt);
      case "*":
      case "+":
      case "?":
        return this.fail("nothing to repeat", startedAt);
      default:
        return this.literal(character);
    }
  }

  private literal(character: string): Node {
    const unit = character.charCodeAt(0);
    return { kind: "set", set: this.fold([[unit, unit]]) };
  }

  private fold(set: CharacterSet): CharacterSet {
    return this.flags.ignoreCase ? foldCase(set) : set;
  }

  private group(startedAt: number): Node {
    if (++this.depth > nestingMax) this.fail(`more than ${nestingMax} groups within each other`, startedAt);
    const flagsBefore = this.flags;
    if (this.takes("?")) {
      if (/^(?:=|!|<=|<!|>)/.test(this.text.slice(this.at, this.at + 2)))
        this.fail("look-around and atomic groups take more than linear time", startedAt);
      const named = /^P?<[A-Za-z_][A-Za-z0-9_]*>/.exec(this.text.slice(this.at, this.at + 64));
      if (named !== null) this.at += named[0].length;
      else if (this.groupFlags(startedAt) === "rest") {
        // (?i) holds to the end of the enclosing group, which restores its own flags.
        this.depth--;
        return { kind: "empty" };
      }
    }
    const node = this.alternation();
    if (!this.takes(")")) this.fail("a group is not closed", startedAt);
    this.flags = flagsBefore;
    this.depth--;
    return node;
  }

  private groupFlags(startedAt: number): "group" | "rest" {
    const match = /^([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])/.exec(this.text.slice(this.at, this.at + 32));
    if (match === null) return this.fail("an unknown kind of group", startedAt);
    const [all, on = "", off = "", end] = match as unknown as [string, string, string | undefined, string];
    for (const flag of on + (off ?? "")) if (!"imsU".includes(flag)) this.fail(`unknown flag ${flag}`, startedAt);
    const apply = (flag: string, before: boolean): boolean =>
      on.includes(flag) ? true : (off ?? "").includes(flag) ? false : before;
    this.flags = { ignoreCase: apply("i", this.flags.ignoreCase), dotAll: apply("s", this.flags.dotAll) };
    this.at += all.length;
    return end === ":" ? "group" : "rest";
  }

  private escape(startedAt: number): Node {
    const character = this.next;
    if (character === "b" || character === "B") {
      this.at++;
      return { kind: "assert", what: character === "b" ? "word-boundary" : "not-word-boundary" };
    }
    if (character === "A" || character === "z") {
      this.at++;
      return { kind: "assert", what: character === "A" ? "begin" : "end" };
    }
    if (character === "Q") {
      this.at++;
      return this.quoted();
    }
    return { kind: "set", set: this.fold(this.escapedSet(startedAt)) };
  }

  /** \Q … \E: everything in between stands for itself. */
  private quoted(): Node {
    const end = this.text.indexOf("\\E", this.at);
    const text = this.text.slice(this.at, end < 0 ? this.text.length : end);
    this.at = end < 0 ? this.text.length : end + 2;
    return { kind: "concat", nodes: [...text].map((character) => this.literal(character)) };
  }

  private escapedSet(startedAt: number): CharacterSet {
    const character = this.next;
    if (character === "") this.fail("a backslash at the end", startedAt);
    this.at++;
    const classes: Readonly<Record<string, CharacterSet>> = { d: digits, w: words, s: spaces };
    const set = classes[character.toLowerCase()];
    if (set !== undefined) return character === character.toLowerCase() ? set : complement(set);
    const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, a: 7 };
    const control = controls[character];
    if (control !== undefined) return [[control, control]];
    if (character === "x") return this.hexadecimal(startedAt);
    if (/[1-9]/.test(character)) this.fail("back-references take more than linear time", startedAt);
    if (/[A-Za-z0-9]/.test(character)) this.fail(`unknown escape \\${character}`, startedAt);
    const unit = character.charCodeAt(0);
    return [[unit, unit]];
  }

  private hexadecimal(startedAt: number): CharacterSet {
    const match = /^(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(this.text.slice(this.at, this.at + 8));
    if (match === null) return this.fail("a hexadecimal escape without digits", startedAt);
    const unit = Number.parseInt((match[1] ?? match[2])!, 16);
    if (unit > unitMax) this.fail("a character beyond U+FFFF", startedAt);
    this.at += match[0].length;
    return [[unit, unit]];
  }

  private bracket(startedAt: number): CharacterSet {
    const negated = this.takes("^");
    const sets: CharacterSet[] = [];
    let isFirst = true;
    for (;;) {
      if (this.at >= this.text.length) this.fail("a character class is not closed", startedAt);
      // A closing bracket that comes first stands for itself.
      if (!isFirst && this.takes("]")) break;
      isFirst = false;
      sets.push(this.bracketItem(startedAt));
    }
    const set = union(...sets);
    return negated ? complement(this.fold(set)) : set;
  }

  private bracketItem(startedAt: number): CharacterSet {
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.text.slice(this.at, this.at + 16));
    if (posix !== null) {
      const set = posixClasses[posix[2]!];
      if (set === undefined) return this.fail(`unknown class ${posix[2]}`, startedAt);
      this.at += posix[0].length;
      return posix[1] === "^" ? complement(set) : set;
    }
    const from = this.bracketCharacter(startedAt);
    if (from.length !== 1 || from[0]![0] !== from[0]![1]) return from;
    if (this.next !== "-" || this.text[this.at + 1] === "]" || this.at + 1 >= this.text.length) return from;
    this.at++;
    const to = this.bracketCharacter(startedAt);
    if (to.length !== 1 || to[0]![0] !== to[0]![1] || to[0]![0] < from[0]![0])
      return this.fail("a range whose end is before its beginning", startedAt);
    return [[from[0]![0], to[0]![0]]];
  }

  private bracketCharacter(startedAt: number): CharacterSet {
    if (this.takes("\\")) return this.escapedSet(startedAt);
    const unit = this.text.charCodeAt(this.at++);
    return [[unit, unit]];
  }
}

/** Throws RegexProblem. */
export function parseRegex(pattern: string): Node {
  if (pattern.length > patternCharactersMax) {
    throw new RegexProblem(
      `the pattern has ${pattern.length} characters, more than ${patternCharactersMax}`,
      patternCharactersMax,
    );
  }
  return new Parser(pattern).parse();
}
