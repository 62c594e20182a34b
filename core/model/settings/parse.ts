// From pairs of text to typed settings, or to the list of all that is wrong. Judges each setting alone; rules between settings stand in
// node-rules.ts and topic-rules.ts.
import type { Definition, Definitions, ValueOf } from "./definition.ts";
import type { Pair } from "./properties-file.ts";
import { parseValue, type SettingValue } from "./value.ts";

/** What is wrong with one setting, in four parts and as one sentence a person can act on. */
export interface SettingProblem {
  readonly name: string;
  /** As written; null when nothing is. Never a secret: a sensitive value is `[hidden]`. */
  readonly value: string | null;
  readonly complaint: string;
  readonly nextStep: string;
  readonly message: string;
}

export function problem(name: string, value: string | null, complaint: string, nextStep: string): SettingProblem {
  const subject = value === null ? name : `${name}=${value}`;
  return { name, value, complaint, nextStep, message: `${subject} ${complaint}; ${nextStep}` };
}

interface Given {
  readonly value: SettingValue;
  readonly text: string;
}

/** Typed values by Kafka's names. Immutable. */
export class Settings<D extends Definitions> {
  readonly definitions: D;
  /** Names that no definition knows, kept as written: plugins and listeners have their own. */
  readonly unknown: ReadonlyMap<string, string>;
  readonly #given: ReadonlyMap<string, Given>;

  constructor(definitions: D, given: ReadonlyMap<string, Given>, unknown: ReadonlyMap<string, string>) {
    this.definitions = definitions;
    this.#given = given;
    this.unknown = unknown;
  }

  get<N extends keyof D & string>(name: N): ValueOf<D[N]> {
    const given = this.#given.get(name);
    return (given === undefined ? this.definitions[name]!.defaultValue : given.value) as ValueOf<D[N]>;
  }

  /** The value's text as DescribeConfigs spells it; null for null. Secrets too: whoever shows it asks `isSensitive` first. */
  textOf(name: keyof D & string): string | null {
    const given = this.#given.get(name);
    return given === undefined ? this.definitions[name]!.defaultText : given.text;
  }

  isGiven(name: string): boolean {
    return this.#given.has(name) || this.unknown.has(name);
  }

  /** The texts of all that was given, unknown names included. */
  givenTexts(): Map<string, string> {
    const texts = new Map<string, string>();
    for (const [name, { text }] of this.#given) texts.set(name, text);
    for (const [name, text] of this.unknown) texts.set(name, text);
    return texts;
  }
}

export type ParseOutcome<D extends Definitions> =
  | { readonly ok: true; readonly settings: Settings<D>; readonly warnings: readonly SettingProblem[] }
  | { readonly ok: false; readonly problems: readonly SettingProblem[]; readonly warnings: readonly SettingProblem[] };

export type PairSource =
  | Iterable<Pair>
  | ReadonlyMap<string, string>
  | Readonly<Record<string, string | number | boolean>>;

/**
 * The last of several pairs with one name counts. A name that no definition knows is kept and warned of, or refused where
 * `unknownNames` says so (topics and groups have no names of others).
 */
export function parseSettings<D extends Definitions>(
  definitions: D,
  source: PairSource,
  options: { readonly unknownNames?: "keep" | "refuse" } = {},
): ParseOutcome<D> {
  const given = new Map<string, Given>();
  const unknown = new Map<string, string>();
  const problems = new Map<string, SettingProblem>();
  const warnings = new Map<string, SettingProblem>();
  for (const [name, written] of pairsOf(source)) {
    problems.delete(name);
    warnings.delete(name);
    const definition = definitionOf(definitions, name);
    if (definition === undefined) {
      const strange = unknownName(definitions, name, written);
      if (options.unknownNames === "refuse") problems.set(name, strange);
      else if (!isPrefixed(name)) warnings.set(name, strange);
      unknown.set(name, written);
      continue;
    }
    const outcome = checkValue(name, definition, written);
    if ("message" in outcome) problems.set(name, outcome);
    else given.set(name, outcome);
  }
  for (const [name, definition] of Object.entries(definitions)) {
    if (!definition.required || given.has(name) || problems.has(name)) continue;
    problems.set(name, problem(name, null, "is required and has no default", `set ${name}`));
  }
  const warned = [...warnings.values()];
  if (problems.size > 0) return { ok: false, problems: [...problems.values()], warnings: warned };
  return { ok: true, settings: new Settings(definitions, given, unknown), warnings: warned };
}

/** One value against its definition. */
export function checkValue(name: string, definition: Definition, written: string): Given | SettingProblem {
  const shown = definition.type === "PASSWORD" ? "[hidden]" : written.trim();
  const parsed = parseValue(definition.type, written);
  if (!parsed.ok) return problem(name, shown, parsed.complaint, parsed.nextStep);
  const complaint = Number.isNaN(parsed.value) ? null : (definition.valid?.check(parsed.value) ?? null);
  if (complaint !== null) return problem(name, shown, complaint.complaint, complaint.nextStep);
  if (definition.valid?.isDistinct !== true) return { value: parsed.value, text: parsed.text };
  const items = [...new Set(parsed.value as readonly string[])];
  return { value: items, text: items.join(",") };
}

/** Own properties only: a peer may ask for a setting called `constructor`. */
export function definitionOf(definitions: Definitions, name: string): Definition | undefined {
  return Object.hasOwn(definitions, name) ? definitions[name] : undefined;
}

function* pairsOf(source: PairSource): Generator<[string, string]> {
  if (source instanceof Map) yield* source as ReadonlyMap<string, string>;
  else if (Symbol.iterator in source) for (const { name, value } of source as Iterable<Pair>) yield [name, value];
  else for (const [name, value] of Object.entries(source)) yield [name, String(value)];
}

/** Names of a listener, of a plugin or of the process's user: not ours to know. */
function isPrefixed(name: string): boolean {
  return /^(listener\.name|config\.providers|rlmm\.config|rsm\.config|confluent|internal)\./.test(name);
}

function unknownName(definitions: Definitions, name: string, written: string): SettingProblem {
  const near = nearestName(name, Object.keys(definitions));
  const nextStep = near === null ? "check its spelling or remove it" : `did you mean ${near}?`;
  return problem(name, /pass|secret|jaas|key$/.test(name) ? "[hidden]" : written, "is not a known setting", nextStep);
}

/** The candidate with the fewest edits, when they are few for its length. */
export function nearestName(name: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let fewest = Math.min(6, Math.ceil(name.length / 4) + 1);
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= fewest) continue;
    const edits = editCount(name, candidate, fewest);
    if (edits < fewest) {
      fewest = edits;
      best = candidate;
    }
  }
  return best;
}

function editCount(left: string, right: string, bound: number): number {
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const replaced = previous[column - 1]! + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1));
    }
    if (Math.min(...current) >= bound) return bound;
    previous = current;
  }
  return previous[right.length]!;
}
