// A regular expression that matches whole strings in time linear in their length: a program of instructions, all of whose threads step over
// the input together (Thompson 1968; Pike's form of it). `(a+)+$` costs what `a+$` costs.
import { type CharacterSet, type Node, parseRegex, RegexProblem } from "./parse.ts";

/** Counted repetitions multiply; a pattern that needs a program larger than its own length and this is refused. */
export const repeatedInstructionCountMax = 4000;

type Instruction =
  | { readonly op: "set"; readonly set: CharacterSet }
  | { op: "split"; first: number; second: number }
  | { op: "jump"; to: number }
  | { readonly op: "assert"; readonly what: "begin" | "end" | "word-boundary" | "not-word-boundary" }
  | { readonly op: "match" };

function compile(root: Node, instructionCountMax: number): Instruction[] {
  const program: Instruction[] = [];
  const emit = (instruction: Instruction): number => {
    if (program.length >= instructionCountMax)
      throw new RegexProblem(`the pattern needs more than ${instructionCountMax} steps`, 0);
    return program.push(instruction) - 1;
  };
  const optional = (node: Node): void => {
    const split = emit({ op: "split", first: 0, second: 0 }) as number;
    compileNode(node);
    program[split] = { op: "split", first: split + 1, second: program.length };
  };
  const star = (node: Node): void => {
    const split = emit({ op: "split", first: 0, second: 0 });
    compileNode(node);
    emit({ op: "jump", to: split });
    program[split] = { op: "split", first: split + 1, second: program.length };
  };
  const alternate = (nodes: readonly Node[]): void => {
    const jumps: number[] = [];
    for (const [index, node] of nodes.entries()) {
      if (index === nodes.length - 1) {
        compileNode(node);
        continue;
      }
      const split = emit({ op: "split", first: 0, second: 0 });
      compileNode(node);
      jumps.push(emit({ op: "jump", to: 0 }));
      program[split] = { op: "split", first: split + 1, second: program.length };
    }
    for (const jump of jumps) program[jump] = { op: "jump", to: program.length };
  };
  const compileNode = (node: Node): void => {
    switch (node.kind) {
      case "empty":
        return;
      case "set":
        emit({ op: "set", set: node.set });
        return;
      case "assert":
        emit({ op: "assert", what: node.what });
        return;
      case "concat":
        for (const each of node.nodes) compileNode(each);
        return;
      case "alternate":
        return alternate(node.nodes);
      case "repeat":
        for (let i = 0; i < node.min; i++) compileNode(node.node);
        if (node.max === Number.POSITIVE_INFINITY) star(node.node);
        else for (let i = node.min; i < node.max; i++) optional(node.node);
    }
  };
  compileNode(root);
  emit({ op: "match" });
  return program;
}

function contains(set: CharacterSet, unit: number): boolean {
  for (const [from, to] of set) if (unit >= from && unit <= to) return true;
  return false;
}

function isWord(unit: number): boolean {
  return (
    (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || unit === 0x5f || (unit >= 0x61 && unit <= 0x7a)
  );
}

export class LinearRegex {
  readonly pattern: string;
  private readonly program: readonly Instruction[];
  /** By instruction: the step at which it was last added, so that no thread is followed twice. */
  private readonly addedAt: Int32Array;
  private step = 0;
  /** Threads that were stepped so far: what matching has cost. */
  workCount = 0;

  /** Throws RegexProblem. */
  constructor(pattern: string) {
    this.pattern = pattern;
    this.program = compile(parseRegex(pattern), pattern.length + repeatedInstructionCountMax);
    this.addedAt = new Int32Array(this.program.length).fill(-1);
  }

  /** Whether the whole of `text` matches. Time: at most length × instructions. */
  matches(text: string): boolean {
    const { program } = this;
    let current: number[] = [];
    this.step = 0;
    this.addedAt.fill(-1);
    this.follow(0, text, 0, current);
    for (let at = 0; at < text.length; at++) {
      if (current.length === 0) return false;
      const unit = text.charCodeAt(at);
      const next: number[] = [];
      this.step++;
      this.workCount += current.length;
      for (const index of current) {
        const instruction = program[index]!;
        if (instruction.op === "set" && contains(instruction.set, unit)) this.follow(index + 1, text, at + 1, next);
      }
      current = next;
    }
    return current.some((index) => program[index]!.op === "match");
  }

  /** Adds a thread with all that it reaches without reading. */
  private follow(start: number, text: string, at: number, threads: number[]): void {
    const stack = [start];
    while (stack.length > 0) {
      const index = stack.pop()!;
      if (this.addedAt[index] === this.step) continue;
      this.addedAt[index] = this.step;
      const instruction = this.program[index]!;
      if (instruction.op === "jump") stack.push(instruction.to);
      else if (instruction.op === "split") stack.push(instruction.second, instruction.first);
      else if (instruction.op !== "assert") threads.push(index);
      else if (holds(instruction.what, text, at)) stack.push(index + 1);
    }
  }
}

function holds(what: "begin" | "end" | "word-boundary" | "not-word-boundary", text: string, at: number): boolean {
  if (what === "begin") return at === 0;
  if (what === "end") return at === text.length;
  const isBoundary = (at > 0 && isWord(text.charCodeAt(at - 1))) !== (at < text.length && isWord(text.charCodeAt(at)));
  return isBoundary === (what === "word-boundary");
}
