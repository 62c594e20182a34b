// docs/configuration.md from the settings' declarations.
import {
  actedOn,
  brokerDefinitions,
  type Definition,
  type Definitions,
  groupDefinitions,
  isSensitive,
  topicDefinitions,
  topicSynonyms,
  updateModeOf,
} from "@blumfeld/core/model/settings";

const opening = `# Settings

Generated from the declarations in \`core/model/settings\` by \`npm run codegen\`. Names, types, defaults and bounds are Apache Kafka 4.3's, so
a \`server.properties\` carries over. What Blumfeld does with each stands in the last column:

- **yes**: it acts on it.
- **needless**: what the setting steers does not exist here, and nothing is missing for it.
- **not yet**: it is accepted, checked, shown and stored, and has no effect so far.

A node that is started without a file is a single node: broker and controller at once, on 127.0.0.1:9092, internal topics with one replica.
\`blum start --set name=value\` sets any of these; \`blum config\` changes the dynamic ones and the topics' while brokers run.
`;

function escaped(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

function defaultText(definition: Definition): string {
  if (definition.required) return "*required*";
  if (definition.defaultText === null) return "*none*";
  return definition.defaultText === "" ? "*empty*" : `\`${escaped(definition.defaultText)}\``;
}

function actedOnText(name: string): string {
  const acted = actedOn(name);
  if (acted.kind === "yes") return "yes";
  return `${acted.kind === "needless" ? "needless" : "not yet"}: ${acted.why}`;
}

function table(
  definitions: Definitions,
  middleTitle: string,
  middle: (name: string) => string,
  actingName: (name: string) => string,
): string {
  const lines = [
    `| setting | type | default | may be | ${middleTitle} | acted on |`,
    "| --- | --- | --- | --- | --- | --- |",
  ];
  for (const [name, definition] of Object.entries(definitions).sort(([left], [right]) => (left < right ? -1 : 1))) {
    if (definition.internal) continue;
    const type = `${definition.type.toLowerCase()}${isSensitive(definition) ? " (secret)" : ""}`;
    const mayBe = escaped(definition.valid?.meaning ?? "");
    lines.push(
      `| \`${name}\` | ${type} | ${defaultText(definition)} | ${mayBe} | ${middle(name)} | ${actedOnText(actingName(name))} |`,
    );
  }
  return lines.join("\n");
}

export function configurationDocument(): string {
  const synonyms = (name: string): string =>
    (topicSynonyms[name] ?? []).map((synonym) => `\`${synonym.name}\``).join(", ");
  const same = (name: string): string => name;
  return `${opening}
## Of nodes

Those with *cluster-wide* or *per-broker* change while a node runs; the others need a restart.

${table(brokerDefinitions, "changes", updateModeOf, same)}

## Of topics

A topic that does not set one takes the brokers'.

${table(topicDefinitions, "brokers' form", synonyms, same)}

## Of groups

A group that does not set one takes the brokers' setting with \`group.\` before the name.

${table(
  groupDefinitions,
  "brokers' form",
  (name) => (Object.hasOwn(brokerDefinitions, `group.${name}`) ? `\`group.${name}\`` : ""),
  (name) => `group.${name}`,
)}
`;
}
