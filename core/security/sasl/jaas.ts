// sasl.jaas.config, as Java reads it: `login.module.Class required name="value" other=value;`. One entry; the class is a name here and loads nothing.

export interface JaasEntry {
  readonly loginModule: string;
  readonly options: ReadonlyMap<string, string>;
}

export const plainLoginModule = "org.apache.kafka.common.security.plain.PlainLoginModule";
export const scramLoginModule = "org.apache.kafka.common.security.scram.ScramLoginModule";

const flags = new Set(["required", "requisite", "sufficient", "optional"]);
const tokenExpression = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s="';]+)|(=)|(;))/y;

/** What is wrong is said without the text itself: it holds passwords. */
export function parseJaas(text: string): JaasEntry | { readonly problem: string } {
  const tokens = tokensOf(text.trim());
  if (tokens === null) return { problem: 'it is not of the form: module required name="value" …;' };
  const [loginModule, flag, ...rest] = tokens;
  if (loginModule === undefined) return { problem: "it is empty" };
  if (flag === undefined || !flags.has(flag))
    return { problem: `after ${loginModule} one of ${[...flags].join(", ")} is needed` };
  if (rest.pop() !== ";") return { problem: "it ends without a semicolon" };
  const options = new Map<string, string>();
  for (let at = 0; at < rest.length; at += 3) {
    const [name, equals, value] = rest.slice(at, at + 3);
    if (equals !== "=" || value === undefined || value === ";") return { problem: `the option ${name} has no value` };
    options.set(name!, value);
  }
  return { loginModule, options };
}

function tokensOf(text: string): string[] | null {
  const tokens: string[] = [];
  tokenExpression.lastIndex = 0;
  while (tokenExpression.lastIndex < text.length) {
    const found = tokenExpression.exec(text);
    if (found === null) return null;
    const [, quoted, bare, equals, semicolon] = found;
    tokens.push(quoted?.replace(/\\(.)/g, "$1") ?? bare ?? equals ?? semicolon!);
  }
  return tokens;
}

/** The users of PLAIN that a broker's entry names: user_NAME="password". */
export function plainUsersOf(entry: JaasEntry): Map<string, string> {
  const users = new Map<string, string>();
  for (const [name, value] of entry.options) if (name.startsWith("user_")) users.set(name.slice("user_".length), value);
  return users;
}
