// docs/errors.md from the protocol's error table.
import { errorRows } from "@blumfeld/core/protocol";

export function errorsDocument(): string {
  const lines = errorRows.map(
    ({ code, name, retriable, message }) =>
      `| ${code} | \`${name}\` | ${retriable ? "yes" : "no"} | ${message.replaceAll("|", "\\|")} |`,
  );
  return `# Errors

Generated from the protocol's error table by \`npm run codegen\`. Codes and names are Kafka's; any Kafka client knows them. A retriable error
goes away by itself or after a refresh of the metadata: clients try again.

| code | name | retriable | meaning |
| --- | --- | --- | --- |
${lines.join("\n")}
`;
}
