// The packages that are published, each from one entry of the workspaces: one bundle and the declarations that its types reach.

export interface PublishedPackage {
  readonly name: string;
  readonly description: string;
  readonly keywords: readonly string[];
  /** Entries by the name under which they are imported; "." is the package itself. */
  readonly entries: Readonly<Record<string, string>>;
  /** Commands by name, each the entry's file. */
  readonly commands: Readonly<Record<string, string>>;
}

export const publishedPackages: readonly PublishedPackage[] = [
  {
    name: "blumfeld",
    description:
      "Kafka without a JVM: a broker that starts in a blink, inside a program or by `blum start`, and the command line.",
    keywords: ["kafka", "broker", "streaming", "testing"],
    entries: { ".": "apps/server/index.ts" },
    commands: { blum: "apps/cli/main.ts" },
  },
  {
    name: "@blumfeld/client",
    description: "A Kafka client in TypeScript: producer, consumer, admin. Works with any Kafka cluster.",
    keywords: ["kafka", "client", "producer", "consumer"],
    entries: { ".": "client/index.ts" },
    commands: {},
  },
];
