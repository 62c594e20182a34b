// `blum topic`: create, list, describe, alter, delete.
import type { Admin, KafkaError, ListedTopic, TopicDescription } from "@blumfeld/client";
import { Command } from "commander";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { collect, parsePairs, parseWhole } from "../flags.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { type Column, textPairs, textTable } from "../text-table.ts";

interface TopicFlags extends ConnectionFlags {
  readonly partitions?: string;
  readonly replicationFactor?: string;
  readonly set: readonly string[];
  readonly unset: readonly string[];
  readonly ifNotExists?: boolean;
  readonly ifExists?: boolean;
  readonly internal?: boolean;
}

const examples = `
Examples:
  blum topic create orders --partitions 6 --set retention.ms=86400000
  blum topic list
  blum topic describe orders
  blum topic alter orders --partitions 12 --set cleanup.policy=compact --unset retention.ms
  blum topic delete orders`;

export function createTopicCommand(io: CliIo): Command {
  const topic = new Command("topic")
    .description("Create, list, describe, alter and delete topics.")
    .addHelpText("after", examples);
  withConnection(topic.command("create").description("Create topics.").argument("<topic...>", "names"))
    .option("-p, --partitions <count>", "how many partitions (default: the brokers' num.partitions)")
    .option("-r, --replication-factor <count>", "copies of each (default: the brokers' default.replication.factor)")
    .option("-s, --set <name=value>", "a setting of the topic; repeat for more", collect, [])
    .option("--if-not-exists", "no error for a topic that is there")
    .action((names: string[], flags: TopicFlags) => create(io, names, flags));
  withConnection(topic.command("list").description("List topics."))
    .option("--internal", "the cluster's own topics too")
    .action((flags: TopicFlags) => list(io, flags));
  withConnection(
    topic
      .command("describe")
      .description("Partitions, replicas and own settings of topics.")
      .argument("<topic...>", "names"),
  ).action((names: string[], flags: TopicFlags) => describe(io, names, flags));
  withConnection(
    topic.command("alter").description("Add partitions, set and unset settings.").argument("<topic>", "its name"),
  )
    .option("-p, --partitions <count>", "the new total; partitions can only grow")
    .option("-s, --set <name=value>", "set a setting; repeat for more", collect, [])
    .option("-u, --unset <name>", "back to the brokers' value; repeat for more", collect, [])
    .action((name: string, flags: TopicFlags) => alter(io, name, flags));
  withConnection(
    topic.command("delete").description("Delete topics and their records.").argument("<topic...>", "names"),
  )
    .option("--if-exists", "no error for a topic that is not there")
    .action((names: string[], flags: TopicFlags) => remove(io, names, flags));
  return topic;
}

interface Result {
  readonly name: string;
  readonly error: KafkaError | null;
}

/** Several items, some of which may have failed: the good ones are told, the first bad one decides the end. */
function finish(
  io: CliIo,
  flags: TopicFlags,
  results: readonly Result[],
  done: string,
  tolerated: string | null,
): void {
  const failed = results.filter(({ error }) => error !== null && error.code !== tolerated);
  const rows = results.map(({ name, error }) => ({ name, done: error === null, error: error?.message ?? null }));
  report(io, flags, { topics: rows }, () =>
    rows.map(({ name, error }) => (error === null ? `${done} ${name}\n` : "")).join(""),
  );
  if (failed.length === 0) return;
  const [first] = failed;
  throw new CliFailure(failed.map(({ error }) => error!.message).join("\n"), first!.error!.nextStep);
}

async function create(io: CliIo, names: readonly string[], flags: TopicFlags): Promise<void> {
  const options = {
    ...(flags.partitions === undefined ? {} : { partitions: parseWhole("--partitions", flags.partitions, 1) }),
    ...(flags.replicationFactor === undefined
      ? {}
      : { replicationFactor: parseWhole("--replication-factor", flags.replicationFactor, 1) }),
    configs: parsePairs("--set", flags.set),
  };
  const results = await withAdmin(io, flags, (admin) =>
    admin.createTopics(names.map((name) => ({ name, ...options }))),
  );
  finish(io, flags, results, "created", flags.ifNotExists === true ? "TOPIC_ALREADY_EXISTS" : null);
}

async function remove(io: CliIo, names: readonly string[], flags: TopicFlags): Promise<void> {
  const results = await withAdmin(io, flags, (admin) => admin.deleteTopics(names));
  finish(io, flags, results, "deleted", flags.ifExists === true ? "UNKNOWN_TOPIC_OR_PARTITION" : null);
}

async function list(io: CliIo, flags: TopicFlags): Promise<void> {
  const all = await withAdmin(io, flags, (admin) => admin.listTopics());
  const topics = all
    .filter(({ isInternal }) => flags.internal === true || !isInternal)
    .sort((left, right) => (left.name < right.name ? -1 : 1));
  const columns: Column<ListedTopic>[] = [
    { title: "TOPIC", cell: ({ name }) => name },
    { title: "PARTITIONS", align: "right", cell: ({ partitions }) => partitions },
    { title: "REPLICAS", align: "right", cell: ({ replicationFactor }) => replicationFactor },
    { title: "ID", cell: ({ id }) => id },
  ];
  report(io, flags, { topics }, () =>
    topics.length === 0 ? "no topics; `blum topic create NAME` makes one\n" : textTable(columns, topics),
  );
}

async function describe(io: CliIo, names: readonly string[], flags: TopicFlags): Promise<void> {
  const topics = await withAdmin(io, flags, async (admin) => {
    const [descriptions, configs] = await Promise.all([
      admin.describeTopics(names),
      admin.describeConfigs(names.map((name) => ({ type: "topic" as const, name }))),
    ]);
    return descriptions.map((topic) => {
      if (topic.error !== null) throw topic.error;
      const entries = configs.find(({ name }) => name === topic.name)?.entries ?? [];
      const own = entries.filter(({ source }) => source === "dynamic-topic");
      return { ...topic, settings: Object.fromEntries(own.map(({ name, value }) => [name, value])) };
    });
  });
  report(io, flags, { topics: topics.map(({ error: _error, ...topic }) => topic) }, () =>
    topics.map((topic) => describedTopic(topic)).join("\n"),
  );
}

function describedTopic(
  topic: TopicDescription & { readonly settings: Readonly<Record<string, string | null>> },
): string {
  const settings = Object.entries(topic.settings).map(([name, value]) => `${name}=${value}`);
  const head = textPairs([
    ["topic", topic.name],
    ["id", topic.id],
    ["settings", settings.length === 0 ? "the brokers' defaults" : settings.join(" ")],
  ]);
  const table = textTable(
    [
      { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
      { title: "LEADER", align: "right", cell: ({ leader }) => (leader < 0 ? "none" : leader) },
      { title: "EPOCH", align: "right", cell: ({ leaderEpoch }) => leaderEpoch },
      { title: "REPLICAS", cell: ({ replicas }) => replicas.join(",") },
      { title: "IN SYNC", cell: ({ isr }) => isr.join(",") },
      { title: "OFFLINE", cell: ({ offlineReplicas }) => offlineReplicas.join(",") || "-" },
    ],
    topic.partitions,
  );
  return head + table;
}

async function alter(io: CliIo, name: string, flags: TopicFlags): Promise<void> {
  const count = flags.partitions === undefined ? null : parseWhole("--partitions", flags.partitions, 1);
  const set = Object.entries(parsePairs("--set", flags.set));
  if (count === null && set.length === 0 && flags.unset.length === 0)
    throw new CliFailure("nothing to alter", "give --partitions, --set or --unset", exitCode.usage);
  await withAdmin(io, flags, async (admin) => {
    if (set.length > 0 || flags.unset.length > 0) await alterSettings(admin, name, set, flags.unset);
    if (count === null) return;
    const [grown] = await admin.createPartitions([{ name, count }]);
    if (grown!.error !== null) throw grown!.error;
  });
  report(
    io,
    flags,
    { name, partitions: count, set: Object.fromEntries(set), unset: flags.unset },
    () => `altered ${name}\n`,
  );
}

async function alterSettings(
  admin: Admin,
  name: string,
  set: readonly (readonly [name: string, value: string])[],
  unset: readonly string[],
): Promise<void> {
  const changes = [
    ...set.map(([setting, value]) => ({ name: setting, operation: "set" as const, value })),
    ...unset.map((setting) => ({ name: setting, operation: "delete" as const })),
  ];
  const [altered] = await admin.alterConfigs([{ type: "topic", name, changes }]);
  if (altered!.error !== null) throw altered!.error;
}
