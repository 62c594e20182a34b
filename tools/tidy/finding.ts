// What a rule has to say about a place in the tree.

export interface Finding {
  readonly file: string;
  /** From 1; 0 for the file as a whole. */
  readonly line: number;
  readonly rule: string;
  /** What is wrong and why it matters, so that nobody has to look the rule up. */
  readonly message: string;
  readonly isWarning?: boolean;
}

export interface SourceFile {
  /** From the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < position; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

/** Tests and what only tests use: they may reach into testing/ and use what the product may not. */
export function isTest(path: string): boolean {
  return /\.(test|golden|sim|fuzz|bench)\.ts$/.test(path) || path.startsWith("testing/");
}

export function isGenerated(path: string): boolean {
  return path.includes("/generated/");
}
