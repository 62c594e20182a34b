// `blum share-group`: share groups (queues): their members, how much is still to be done; let a group go on from elsewhere, delete groups.
import { Command, Option } from "commander";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { type CliIo, report } from "../io.ts";
import { describeShareGroup, listShareGroups, type ShareListFlags } from "../share-groups/describe.ts";
import { resetShareGroup, type ShareResetFlags } from "../share-groups/reset.ts";

const examples = `
Examples:
  blum share-group list
  blum share-group describe mails
  blum share-group reset mails --to-earliest                              shows what would be read again
  blum share-group reset mails --to-earliest --yes
  blum share-group reset mails --topic outbox --to-latest --yes           skips what is left
  blum share-group reset mails --to-datetime 2026-01-31T08:00:00Z --yes   the records from then on
  blum share-group delete mails --topic outbox                            forgets what it knows of one topic
  blum share-group delete mails`;

export function createShareGroupCommand(io: CliIo): Command {
  const group = new Command("share-group")
    .description("Share groups (queues): members, start offsets, lag.")
    .addHelpText("after", examples);
  withConnection(group.command("list").description("all share groups, and how much they have still to do"))
    .option("--state <state,…>", "only groups in these states")
    .option("--no-lag", "without the lag, which reads each group's offsets")
    .action((flags: ShareListFlags) => listShareGroups(io, flags));
  withConnection(
    group.command("describe <group>").description("members, what each is assigned, start offsets and lag"),
  ).action((name: string, flags: ConnectionFlags) => describeShareGroup(io, name, flags));
  withConnection(group.command("reset <group>").description("let a group that is empty go on from other offsets"))
    .option("-t, --topic <topic,…>", "only these topics (default: all that the group has consumed from)")
    .option("--to-earliest", "everything that is kept")
    .option("--to-latest", "only what comes from now on")
    .option("--to-datetime <time>", "the first records from a time on, as ISO 8601")
    .option("--yes", "do it; without, only show what would happen")
    .addOption(new Option("--execute", "as --yes").hideHelp())
    .action((name: string, flags: ShareResetFlags) => resetShareGroup(io, name, flags));
  withConnection(group.command("delete <group...>").description("share groups that are empty, with all they know"))
    .option("-t, --topic <topic,…>", "only what they know of these topics")
    .action((names: string[], flags: DeleteFlags) => remove(io, names, flags));
  return group;
}

interface DeleteFlags extends ConnectionFlags {
  readonly topic?: string;
}

interface Deleted {
  readonly groupId: string;
  /** Left out: the whole group. */
  readonly topic?: string;
  readonly error: string | null;
}

async function remove(io: CliIo, names: readonly string[], flags: DeleteFlags): Promise<void> {
  const topics = flags.topic?.split(",") ?? null;
  const groups = await withAdmin(io, flags, async (admin) => {
    // The request that deletes takes groups of any type: a consumer group of the name is left alone.
    const described = await admin.describeShareGroups(names);
    const deleted = described.map(async ({ error, groupId }): Promise<Deleted[]> => {
      if (error !== null) return [{ groupId, error: error.message }];
      try {
        if (topics === null) {
          await admin.deleteShareGroup(groupId);
          return [{ groupId, error: null }];
        }
        const results = await admin.deleteShareGroupOffsets(groupId, topics);
        return results.map((one) => ({ groupId, topic: one.topic, error: one.error?.message ?? null }));
      } catch (failure) {
        return [{ groupId, error: failure instanceof Error ? failure.message : String(failure) }];
      }
    });
    return (await Promise.all(deleted)).flat();
  });
  report(io, flags, { groups }, () =>
    groups
      .map(({ error, groupId, topic }) => `${[groupId, topic].filter(Boolean).join(" ")}: ${error ?? "deleted"}\n`)
      .join(""),
  );
  if (groups.some(({ error }) => error !== null))
    throw new CliFailure("not everything was deleted", "stop the members of a group before it is deleted");
}
