// `blum config`: the settings of topics, brokers, groups and client metrics, where each value comes from, and changing them.
import type { ConfigEntry, ConfigResource, ConfigResourceType } from "@blumfeld/client";
import { actedOn } from "@blumfeld/core/model/settings";
import { Command } from "commander";
import { colors } from "../colors.ts";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { collect, parsePairs } from "../flags.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { textTable } from "../text-table.ts";

interface ConfigFlags extends ConnectionFlags {
  readonly all?: boolean;
  readonly synonyms?: boolean;
  readonly set: readonly string[];
  readonly unset: readonly string[];
}

/** What a person writes, and what the protocol calls it. */
const kinds: Readonly<Record<string, ConfigResourceType>> = {
  topic: "topic",
  broker: "broker",
  cluster: "broker",
  group: "group",
  "client-metrics": "clientMetrics",
};

const examples = `
Examples:
  blum config describe topic orders            what the topic sets itself
  blum config describe topic orders --all      and what it inherits
  blum config describe broker 1 --all
  blum config alter topic orders --set retention.ms=86400000
  blum config alter cluster --set log.retention.ms=86400000   for all brokers
  blum config alter broker 1 --unset max.connections

Every setting: docs/configuration.md`;

export function createConfigCommand(io: CliIo): Command {
  const config = new Command("config")
    .description(
      "Show and change settings: of a topic, a broker, the cluster (all brokers), a group or client-metrics.",
    )
    .addHelpText("after", examples);
  const withResource = (command: Command): Command =>
    withConnection(
      command
        .argument("<kind>", Object.keys(kinds).join(", "))
        .argument("[name]", "topic, broker id, group; nothing for cluster"),
    );
  withResource(config.command("describe").description("Show settings and where their values come from."))
    .option("-a, --all", "inherited and default values too")
    .option("--synonyms", "all values that stand behind one")
    .action((kind: string, name: string | undefined, flags: ConfigFlags) =>
      describe(io, resourceOf(kind, name), flags),
    );
  withResource(config.command("alter").description("Set and unset settings while brokers run."))
    .option("-s, --set <name=value>", "set a setting; repeat for more", collect, [])
    .option("-u, --unset <name>", "back to the inherited value; repeat for more", collect, [])
    .action((kind: string, name: string | undefined, flags: ConfigFlags) => alter(io, resourceOf(kind, name), flags));
  return config;
}

function resourceOf(kind: string, name: string | undefined): ConfigResource {
  const type = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (type === undefined)
    throw new CliFailure(`${kind} has no settings`, `use one of ${Object.keys(kinds).join(", ")}`, exitCode.usage);
  if (kind === "cluster") return { type, name: "" };
  if (name === undefined) throw new CliFailure(`which ${kind}?`, `write blum config … ${kind} NAME`, exitCode.usage);
  if (kind === "broker" && !/^\d+$/.test(name))
    throw new CliFailure(`${name} is not a broker id`, "`blum cluster` lists the brokers", exitCode.usage);
  return { type, name };
}

const inherited = new Set(["default", "static-broker", "dynamic-default-broker", "dynamic-broker"]);

function isShown(entry: ConfigEntry, resource: ConfigResource, all: boolean): boolean {
  if (all) return true;
  return resource.type === "broker" ? entry.source !== "default" : !inherited.has(entry.source);
}

async function describe(io: CliIo, resource: ConfigResource, flags: ConfigFlags): Promise<void> {
  const [described] = await withAdmin(io, flags, (admin) =>
    admin.describeConfigs([resource], { includeSynonyms: flags.synonyms === true }),
  );
  if (described!.error !== null) throw described!.error;
  const entries = described!.entries
    .filter((entry) => isShown(entry, resource, flags.all === true))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
  report(io, flags, { ...resource, settings: entries }, () => {
    if (entries.length === 0) return "nothing is set; --all shows inherited and default values\n";
    return textTable(
      [
        { title: "SETTING", cell: ({ name }) => name },
        { title: "VALUE", cell: shownValue },
        { title: "FROM", cell: ({ source }) => source },
        { title: "CHANGES", cell: ({ isReadOnly }) => (isReadOnly ? "at restart" : "live") },
        { title: "NOTE", cell: (entry) => noteOf(entry, flags.synonyms === true) },
      ],
      entries,
    );
  });
}

function shownValue({ isSensitive, value }: ConfigEntry): string {
  if (isSensitive) return "(hidden)";
  return value === null ? "(none)" : value === "" ? '""' : value;
}

/** Only a setting that somebody gave a value is worth the remark that it changes nothing. */
function noteOf({ name, source, synonyms }: ConfigEntry, withSynonyms: boolean): string {
  if (withSynonyms) return synonyms.map((one) => `${one.name}=${one.value ?? ""} (${one.source})`).join(", ");
  const acted = actedOn(name);
  return source === "default" || acted.kind === "yes" ? "" : colors.dim(`no effect in Blumfeld: ${acted.why}`);
}

async function alter(io: CliIo, resource: ConfigResource, flags: ConfigFlags): Promise<void> {
  const set = Object.entries(parsePairs("--set", flags.set));
  if (set.length === 0 && flags.unset.length === 0)
    throw new CliFailure("nothing to alter", "give --set or --unset", exitCode.usage);
  const changes = [
    ...set.map(([name, value]) => ({ name, operation: "set" as const, value })),
    ...flags.unset.map((name) => ({ name, operation: "delete" as const })),
  ];
  const [altered] = await withAdmin(io, flags, (admin) => admin.alterConfigs([{ ...resource, changes }]));
  if (altered!.error !== null) throw altered!.error;
  const what = resource.name === "" ? "the cluster" : `${resource.type} ${resource.name}`;
  report(io, flags, { ...resource, set: Object.fromEntries(set), unset: flags.unset }, () => `altered ${what}\n`);
}
