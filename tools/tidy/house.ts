// Rules for one file at a time: size, names, opening comment, words that mark unfinished work, and what core may not touch.
import ts from "typescript";
import { type Finding, isGenerated, isTest, lineAt, type SourceFile } from "./finding.ts";

export const fileLinesWarn = 400;
export const fileLinesMax = 600;
export const functionLinesWarn = 70;

// Put together here, so that this file does not find itself.
const unfinished = new RegExp(
  `\\b(${["TO", "FIX"].map((word, index) => word + ["DO", "ME"][index]).join("|")}|X{3})\\b`,
);
const machinePath = /(?<![\w.$-])(\/work\/main|\/root\/|\/home\/[a-z][\w-]*\/|\/Users\/[A-Za-z][\w-]*\/)/;

export function houseFindings(file: SourceFile, machinePaths: readonly string[] = []): Finding[] {
  const findings: Finding[] = [];
  const { path, text } = file;
  const add = (rule: string, position: number, message: string, isWarning = false): void => {
    findings.push({ file: path, line: position < 0 ? 0 : lineAt(text, position), rule, message, isWarning });
  };
  if (/\/testdata\//.test(path) || path === "package-lock.json") return findings;
  const marked = unfinished.exec(text);
  if (marked !== null)
    add("unfinished", marked.index, `${marked[0]}: finish it or say in docs/progress.md what is missing`);
  const path1 = machinePath.exec(text);
  if (path1 !== null)
    add("machine-path", path1.index, `${path1[0]} is a path of one machine; the tree must work on any`);
  for (const own of machinePaths) {
    const at = text.indexOf(own);
    if (at >= 0) add("machine-path", at, `${own} is a path of this machine; the tree must work on any`);
  }
  if (path.endsWith(".ts") && !isGenerated(path)) sourceFindings(file, add);
  return findings;
}

type Add = (rule: string, position: number, message: string, isWarning?: boolean) => void;

function sourceFindings({ path, text }: SourceFile, add: Add): void {
  const lineCount = text.split("\n").length - 1;
  if (lineCount > fileLinesMax)
    add("file-length", -1, `${lineCount} lines: above ${fileLinesMax} it is more than one idea; split it`);
  else if (lineCount > fileLinesWarn)
    add("file-length", -1, `${lineCount} lines: about ${fileLinesWarn} is one idea`, true);
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+){0,2}\.ts$/.test(name))
    add("file-name", -1, "file names are kebab-case, so that they are the same on every file system");
  const speaksForItself = isTest(path) || name.endsWith(".config.ts") || isListOfExports(text);
  if (!speaksForItself && !/^(#![^\n]*\n)?(\/\/|\/\*)/.test(text))
    add("opening", -1, "a file opens with a comment: what it is, what it never does, who owns its buffers");
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const isPure = path.startsWith("core/") && !isTest(path);
  const visit = (node: ts.Node): void => {
    if (isPure) coreFinding(node, source, add);
    functionFinding(node, source, add);
    if (ts.isExportAssignment(node) && !name.endsWith(".config.ts"))
      add(
        "default-export",
        node.getStart(source),
        "export it by name: a default export has another name wherever it is imported",
      );
    ts.forEachChild(node, visit);
  };
  visit(source);
}

function isListOfExports(text: string): boolean {
  return text.split("\n").every((line) => line === "" || /^(export (type )?(\*|\{)| {2}[\w ]+,$|\})/.test(line));
}

const forbiddenMembers = new Set(["Date.now", "Math.random", "process.env", "process.hrtime", "performance.now"]);
const forbiddenCalls = new Set(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"]);
const pureReason =
  "core is a function of its input: time, chance and the world come through the ports of core/base/ports.ts";

function coreFinding(node: ts.Node, source: ts.SourceFile, add: Add): void {
  if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
    const name = `${node.expression.text}.${node.name.text}`;
    if (forbiddenMembers.has(name)) add("pure-core", node.getStart(source), `${name} in core: ${pureReason}`);
  } else if (
    ts.isCallExpression(node) &&
    ts.isIdentifier(node.expression) &&
    forbiddenCalls.has(node.expression.text)
  ) {
    add("pure-core", node.getStart(source), `${node.expression.text} in core: ${pureReason}`);
  } else if (
    ts.isNewExpression(node) &&
    ts.isIdentifier(node.expression) &&
    node.expression.text === "Date" &&
    !node.arguments?.length
  ) {
    add("pure-core", node.getStart(source), `new Date() in core: ${pureReason}`);
  }
}

function functionFinding(node: ts.Node, source: ts.SourceFile, add: Add): void {
  if (!ts.isFunctionDeclaration(node) && !ts.isMethodDeclaration(node) && !ts.isArrowFunction(node)) return;
  if (node.body === undefined) return;
  const first = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
  const lines = source.getLineAndCharacterOfPosition(node.end).line - first + 1;
  if (lines <= functionLinesWarn || isTest(source.fileName)) return;
  add(
    "function-length",
    node.getStart(source),
    `${lines} lines: a function fits a screen (${functionLinesWarn})`,
    true,
  );
}
