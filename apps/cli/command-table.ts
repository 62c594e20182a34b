// The commands by name. Each is a module of its own that is loaded when it is called: `blum --help` loads none of them.
// A command's module exports a function that makes its commander Command, options, examples and action included.
import type { CommandRow } from "./command-row.ts";

export const commandTable: readonly CommandRow[] = [
  {
    name: "start",
    summary: "start a broker here, with or without a server.properties",
    load: async (io) => (await import("./commands/start.ts")).createStartCommand(io),
  },
  {
    name: "topic",
    summary: "create, list, describe, alter and delete topics",
    load: async (io) => (await import("./commands/topic.ts")).createTopicCommand(io),
  },
  {
    name: "config",
    summary: "show and change the settings of topics, brokers and groups",
    load: async (io) => (await import("./commands/config.ts")).createConfigCommand(io),
  },
  {
    name: "cluster",
    summary: "show the cluster: brokers, controller, features",
    load: async (io) => (await import("./commands/cluster.ts")).createClusterCommand(io),
  },
  {
    name: "group",
    summary: "show groups and their lag, move their offsets, delete them",
    load: async (io) => (await import("./commands/group.ts")).createGroupCommand(io),
  },
  {
    name: "share-group",
    summary: "show share groups and their members, move their offsets, delete them",
    load: async (io) => (await import("./commands/share-group.ts")).createShareGroupCommand(io),
  },
  {
    name: "transaction",
    summary: "show transactions and who writes to a partition, end one that hangs",
    load: async (io) => (await import("./commands/transaction.ts")).createTransactionCommand(io),
  },
  {
    name: "acl",
    summary: "show and change who may do what",
    load: async (io) => (await import("./commands/acl.ts")).createAclCommand(io),
  },
  {
    name: "user",
    summary: "users with passwords: list, set, delete",
    load: async (io) => (await import("./commands/user.ts")).createUserCommand(io),
  },
  {
    name: "produce",
    summary: "write records into a topic: lines, JSON lines, files",
    load: async (io) => (await import("./commands/produce.ts")).createProduceCommand(io),
  },
  {
    name: "consume",
    summary: "read records of topics: values, a format of one's own, JSON lines",
    load: async (io) => (await import("./commands/consume.ts")).createConsumeCommand(io),
  },
  {
    name: "storage",
    summary: "format and inspect data directories; draw a random id",
    load: async (io) => (await import("./commands/storage.ts")).createStorageCommand(io),
  },
  {
    name: "fsck",
    summary: "check a data directory while its node is stopped; repair it",
    load: async (io) => (await import("./commands/fsck.ts")).createFsckCommand(io),
  },
  {
    name: "dump",
    summary: "print what is in a segment, index, snapshot, checkpoint or folder",
    load: async (io) => (await import("./commands/dump.ts")).createDumpCommand(io),
  },
  {
    name: "completion",
    summary: "print the completion script of bash, zsh or fish",
    load: async (io) => (await import("./commands/completion.ts")).createCompletionCommand(io, commandTable),
  },
];
