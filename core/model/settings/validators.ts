// The bounds that single values have. Each says itself in Kafka's words (`text`, as Kafka's documents print it) and tells what is wrong
// with a value in ours.
import type { SettingValue } from "./value.ts";

export interface Complaint {
  /** Follows the value: "is below 1048576". */
  readonly complaint: string;
  readonly nextStep: string;
}

export interface Validator {
  /** As Kafka prints the rule; empty where Kafka prints none. */
  readonly text: string;
  /** Null when the value is within the bound. */
  check(value: SettingValue): Complaint | null;
  /** What a value may be, for the document; empty when anything goes. */
  readonly meaning: string;
  /** A list's second mention of an entry is dropped before the check, as Kafka does with a warning. */
  readonly isDistinct?: boolean;
}

export function atLeast(minimum: number): Validator {
  return {
    text: `[${minimum},...]`,
    meaning: `${minimum} or more`,
    check: (value) =>
      (value as number) < minimum
        ? { complaint: `is below ${minimum}`, nextStep: "raise it or remove the setting" }
        : null,
  };
}

/** `text` where Kafka prints the bounds as doubles ("[0.0,...,0.25]"). */
export function between(minimum: number, maximum: number, text = `[${minimum},...,${maximum}]`): Validator {
  return {
    text,
    meaning: `${minimum} to ${maximum}`,
    check(value) {
      if ((value as number) < minimum)
        return { complaint: `is below ${minimum}`, nextStep: "raise it or remove the setting" };
      if ((value as number) > maximum)
        return { complaint: `is above ${maximum}`, nextStep: "lower it or remove the setting" };
      return null;
    },
  };
}

/** gzip's level: a range, or -1 for the library's own choice. */
export function betweenOrDefaultLevel(minimum: number, maximum: number): Validator {
  const range = between(minimum, maximum, `[${minimum},...,${maximum}] or -1`);
  return {
    ...range,
    meaning: `${minimum} to ${maximum}, or -1`,
    check: (value) => (value === -1 ? null : range.check(value)),
  };
}

export function oneOf(...choices: readonly string[]): Validator {
  return {
    text: `[${choices.join(", ")}]`,
    meaning: choices.join(", "),
    check: (value) => (choices.includes(value as string) ? null : notAmong(choices)),
  };
}

export function oneOfAnyCase(...choices: readonly string[]): Validator {
  return anyCase(`(case insensitive) [${choices.join(", ")}]`, choices);
}

/** As `oneOfAnyCase`, for the settings where Kafka does not print that case does not matter. */
export function oneOfAnyCaseUnsaid(...choices: readonly string[]): Validator {
  return anyCase(`[${choices.join(", ")}]`, choices);
}

function anyCase(text: string, choices: readonly string[]): Validator {
  const lower = choices.map((choice) => choice.toLowerCase());
  return {
    text,
    meaning: `${choices.join(", ")} (any case)`,
    check: (value) => (lower.includes((value as string).toLowerCase()) ? null : notAmong(choices)),
  };
}

function notAmong(choices: readonly string[]): Complaint {
  return { complaint: `is not one of ${choices.join(", ")}`, nextStep: "choose one of these" };
}

/** An offset reset policy: a word, or `by_duration:` with an ISO 8601 duration that is not negative. */
export function oneOfOrDuration(...choices: readonly string[]): Validator {
  const printed = `[${choices.join(", ")}, by_duration:PnDTnHnMn.nS]`;
  return {
    text: printed,
    meaning: `${choices.join(", ")}, by_duration:PnDTnHnMn.nS`,
    check(value) {
      const text = value as string;
      if (choices.includes(text) || (text.startsWith("by_duration:") && durationMs(text.slice(12)) !== null))
        return null;
      return { complaint: `is not one of ${printed}`, nextStep: "choose one of these" };
    },
  };
}

/** Milliseconds of an ISO 8601 duration in days and smaller units; null when it is none or negative. */
export function durationMs(text: string): number | null {
  const parts = /^P(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,9})?)S)?)?$/i.exec(text);
  if (parts === null || parts.slice(1).every((part) => part === undefined)) return null;
  const [days, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0));
  return Math.floor((((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds!) * 1000);
}

export const nonNullString: Validator = { text: "non-null string", meaning: "", check: () => null };

export const nonEmptyString: Validator = {
  text: "non-empty string",
  meaning: "not empty",
  check: (value) =>
    value === "" ? { complaint: "is empty", nextStep: "give it a value or remove the setting" } : null,
};

function listFaults(items: readonly string[], mayBeEmpty: boolean): Complaint | null {
  if (items.length === 0 && !mayBeEmpty)
    return { complaint: "is an empty list", nextStep: "name at least one entry or remove the setting" };
  return items.includes("") ? { complaint: "has an empty entry", nextStep: "remove the spare comma" } : null;
}

/** No entry empty; the list itself may be. */
export const distinct: Validator = {
  text: "",
  meaning: "",
  isDistinct: true,
  check: (value) => (value === null ? null : listFaults(value as readonly string[], true)),
};

/** As `distinct`, with one entry at least. */
export const distinctSome: Validator = {
  text: "",
  meaning: "at least one entry",
  isDistinct: true,
  check: (value) => (value === null ? null : listFaults(value as readonly string[], false)),
};

function listOf(mayBeEmpty: boolean, choices: readonly string[]): Validator {
  return {
    text: `[${choices.join(", ")}]`,
    meaning: `any of ${choices.join(", ")}${mayBeEmpty ? "" : ", at least one"}`,
    isDistinct: true,
    check(value) {
      const items = value as readonly string[];
      const strange = items.find((item) => !choices.includes(item));
      if (strange !== undefined && strange !== "")
        return {
          complaint: `names ${strange}, which is not one of ${choices.join(", ")}`,
          nextStep: "choose among these",
        };
      return listFaults(items, mayBeEmpty);
    },
  };
}
export const someOf = (...choices: readonly string[]): Validator => listOf(false, choices);
export const anyOf = (...choices: readonly string[]): Validator => listOf(true, choices);

/** `{id}@{host}:{port}` entries. */
export const quorumVoters: Validator = {
  text: "non-empty list",
  meaning: "entries of the form {id}@{host}:{port}",
  check(value) {
    const strange = (value as readonly string[]).find((entry) => !/^\d+@(\[[^\]]+\]|[^:@]+):\d{1,5}$/.test(entry));
    return strange === undefined
      ? null
      : { complaint: `has the entry ${JSON.stringify(strange)}`, nextStep: "write each as {id}@{host}:{port}" };
  },
};

/** `{host}:{port}` entries. */
export const hostAndPortList: Validator = {
  text: "non-empty list",
  meaning: "entries of the form {host}:{port}",
  check(value) {
    const strange = (value as readonly string[]).find((entry) => !/^(\[[^\]]+\]|[^:@]+):\d{1,5}$/.test(entry));
    return strange === undefined
      ? null
      : { complaint: `has the entry ${JSON.stringify(strange)}`, nextStep: "write each as {host}:{port}" };
  },
};

/** `*`, or `{partition}:{broker}` entries. */
export const throttledReplicas: Validator = {
  text: "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
  meaning: "* or entries of the form {partition}:{broker}",
  check(value) {
    const items = value as readonly string[];
    if (items.length === 1 && items[0] === "*") return null;
    const strange = items.find((entry) => !/^\d+:\d+$/.test(entry));
    return strange === undefined
      ? null
      : { complaint: `has the entry ${JSON.stringify(strange)}`, nextStep: "write * or entries {partition}:{broker}" };
  },
};
