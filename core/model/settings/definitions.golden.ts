// The tables against Kafka 4.3's own, read off its classes: every name, type, default, bound and importance.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../../testing/shared.ts";
import type { Definition, Definitions } from "./definition.ts";
import {
  adminDefinitions,
  brokerDefinitions,
  consumerDefinitions,
  groupDefinitions,
  producerDefinitions,
  topicDefinitions,
} from "./definitions.ts";
import { checkValue } from "./parse.ts";

const tables: Readonly<Record<string, Definitions>> = {
  admin: adminDefinitions,
  broker: brokerDefinitions,
  consumer: consumerDefinitions,
  group: groupDefinitions,
  producer: producerDefinitions,
  topic: topicDefinitions,
};

/** The default as the golden table prints it: lists in brackets, classes with the word. */
function printedDefault(definition: Definition, golden: string): string {
  if (definition.required) return "(required)";
  if (definition.defaultText === null) return "null";
  if (definition.type === "CLASS") return `class ${definition.defaultText}`;
  if (definition.type !== "LIST") return definition.defaultText;
  const items = (definition.defaultValue as readonly string[]).map((item) =>
    golden.includes(`class ${item}`) ? `class ${item}` : item,
  );
  return `[${items.join(", ")}]`;
}

describe.skipIf(missingShared)("settings as Kafka declares them", () => {
  for (const [kind, table] of Object.entries(tables)) {
    test(kind, () => {
      const golden = readFileSync(sharedPath(`protocol/config-${kind}.tsv`), "utf8")
        .trimEnd()
        .split("\n")
        .slice(1);
      const ours = golden.map((line) => {
        const [name = "", , fallback = ""] = line.split("\t");
        const definition = table[name];
        if (definition === undefined) return `${name}\tmissing`;
        const { type, importance, valid } = definition;
        return [name, type, printedDefault(definition, fallback), valid?.text ?? "", importance].join("\t");
      });
      expect(ours).toEqual(golden);
      const spare = Object.keys(table).filter((name) => !golden.some((line) => line.startsWith(`${name}\t`)));
      expect(spare.filter((name) => !table[name]!.internal)).toEqual([]);
    });

    test(`${kind}: each default passes its own bound`, () => {
      for (const [name, definition] of Object.entries(table)) {
        if (definition.defaultText === null) continue;
        expect(checkValue(name, definition, definition.defaultText), name).toHaveProperty(
          "text",
          definition.defaultText,
        );
      }
    });
  }
});
