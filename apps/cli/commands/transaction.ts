// `blum transaction`: transactional ids and their transactions, the producers of a partition, and an end for a transaction that hangs.
import { Command } from "commander";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { parseWhole } from "../flags.ts";
import { type CliIo, report } from "../io.ts";
import { textPairs, textTable } from "../text-table.ts";

const examples = `
Examples:
  blum transaction list --state Ongoing
  blum transaction list --running-ms 60000 --id-pattern 'payments-.*'
  blum transaction describe payments-1
  blum transaction producers orders --partition 0      whose transaction holds back readers of committed records
  blum transaction hanging orders                      open ones that no coordinator will end
  blum transaction abort orders --partition 0 --start-offset 4711`;

interface ListFlags extends ConnectionFlags {
  readonly state?: string;
  readonly producerId?: string;
  readonly runningMs?: string;
  readonly idPattern?: string;
}

interface PlaceFlags extends ConnectionFlags {
  readonly partition: string;
}

export function createTransactionCommand(io: CliIo): Command {
  const transaction = new Command("transaction")
    .description("Transactions: which there are, who writes, ending one that hangs.")
    .addHelpText("after", examples);
  withConnection(transaction.command("list").description("all transactional ids"))
    .option("--state <state,…>", "only those in these states, such as Ongoing")
    .option("--producer-id <id,…>", "only those of these producers")
    .option("--running-ms <ms>", "only those whose transaction began longer ago")
    .option("--id-pattern <pattern>", "only ids that match the whole pattern (RE2)")
    .action((flags: ListFlags) => list(io, flags));
  withConnection(
    transaction.command("describe <id>").description("state, producer and partitions of a transactional id"),
  ).action((id: string, flags: ConnectionFlags) => describe(io, id, flags));
  withConnection(transaction.command("producers <topic>").description("the producers that a partition knows"))
    .option("-p, --partition <number>", "which partition", "0")
    .action((topic: string, flags: PlaceFlags) => producers(io, topic, flags));
  withConnection(
    transaction
      .command("hanging <topic>")
      .description("open transactions that no coordinator will end, in any partition"),
  )
    .option("--older-ms <ms>", "whose last write is older; a coordinator may still end younger ones", "900000")
    .action((topic: string, flags: ConnectionFlags & { olderMs: string }) => hanging(io, topic, flags));
  withConnection(
    transaction.command("abort <topic>").description("end an open transaction whose coordinator has forgotten it"),
  )
    .option("-p, --partition <number>", "which partition", "0")
    .requiredOption("--start-offset <offset>", "where it begins, as `producers` shows it")
    .action((topic: string, flags: PlaceFlags & { startOffset: string }) => abort(io, topic, flags));
  return transaction;
}

async function list(io: CliIo, flags: ListFlags): Promise<void> {
  const { idPattern, producerId, runningMs, state } = flags;
  const filter = {
    states: state?.split(","),
    producerIds: producerId?.split(",").map((text) => parseWhole("--producer-id", text, 0)),
    runningMsMin: runningMs === undefined ? undefined : parseWhole("--running-ms", runningMs, 0),
    idPattern,
  };
  const transactions = await withAdmin(io, flags, (admin) => admin.listTransactions(filter));
  transactions.sort((one, other) => (one.transactionalId < other.transactionalId ? -1 : 1));
  report(io, flags, { transactions }, () =>
    textTable(
      [
        { title: "TRANSACTIONAL ID", cell: ({ transactionalId }) => transactionalId },
        { title: "PRODUCER", align: "right", cell: ({ producerId }) => producerId },
        { title: "STATE", cell: ({ state }) => state },
        { title: "COORDINATOR", align: "right", cell: ({ coordinatorId }) => coordinatorId },
      ],
      transactions,
    ),
  );
}

async function describe(io: CliIo, id: string, flags: ConnectionFlags): Promise<void> {
  const { error, ...facts } = await withAdmin(io, flags, (admin) => admin.describeTransaction(id));
  if (error !== null) throw error;
  report(io, flags, facts, () => {
    const head = textPairs([
      ["transactional id", facts.transactionalId],
      ["state", facts.state],
      ["producer", facts.producerId],
      ["epoch", facts.producerEpoch],
      ["timeout ms", facts.timeoutMs],
      ["started", facts.startMs === null ? "-" : new Date(facts.startMs).toISOString()],
    ]);
    if (facts.partitions.length === 0) return head;
    const table = textTable(
      [
        { title: "TOPIC", cell: ({ topic }) => topic },
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
      ],
      facts.partitions,
    );
    return `${head}\n${table}`;
  });
}

async function producers(io: CliIo, topic: string, flags: PlaceFlags): Promise<void> {
  const partition = parseWhole("--partition", flags.partition, 0);
  const found = await withAdmin(io, flags, (admin) => admin.describeProducers({ topic, partition }));
  report(io, flags, { topic, partition, producers: found }, () =>
    textTable(
      [
        { title: "PRODUCER", align: "right", cell: ({ producerId }) => producerId },
        { title: "EPOCH", align: "right", cell: ({ producerEpoch }) => producerEpoch },
        { title: "LAST SEQUENCE", align: "right", cell: ({ lastSequence }) => lastSequence },
        { title: "LAST WRITE", cell: ({ lastTimestampMs }) => timeText(lastTimestampMs) },
        { title: "OPEN SINCE OFFSET", align: "right", cell: (one) => one.transactionStartOffset ?? "-" },
      ],
      found,
    ),
  );
}

async function hanging(io: CliIo, topic: string, flags: ConnectionFlags & { readonly olderMs: string }): Promise<void> {
  const olderMs = parseWhole("--older-ms", flags.olderMs, 0);
  const found = await withAdmin(io, flags, async (admin) => {
    const [described] = await admin.describeTopics([topic]);
    if (described!.error !== null) throw described!.error;
    const partitions = described!.partitions.map(({ partition }) => ({ topic, partition }));
    return admin.findHangingTransactions(partitions, { olderMs });
  });
  report(io, flags, { topic, hanging: found }, () =>
    textTable(
      [
        { title: "PARTITION", align: "right", cell: ({ partition }) => partition },
        { title: "PRODUCER", align: "right", cell: ({ producer }) => producer.producerId },
        { title: "TRANSACTIONAL ID", cell: ({ transactionalId }) => transactionalId ?? "-" },
        { title: "LAST WRITE", cell: ({ producer }) => timeText(producer.lastTimestampMs) },
        { title: "OPEN SINCE OFFSET", align: "right", cell: ({ producer }) => producer.transactionStartOffset ?? "-" },
      ],
      found,
    ),
  );
}

async function abort(io: CliIo, topic: string, flags: PlaceFlags & { readonly startOffset: string }): Promise<void> {
  const partition = parseWhole("--partition", flags.partition, 0);
  const startOffset = parseWhole("--start-offset", flags.startOffset, 0);
  const { producerEpoch, producerId } = await withAdmin(io, flags, (admin) =>
    admin.abortTransaction({ topic, partition }, startOffset),
  );
  report(
    io,
    flags,
    { topic, partition, startOffset, producerId, producerEpoch },
    () => `aborted the transaction of producer ${producerId} in ${topic}-${partition} from offset ${startOffset} on\n`,
  );
}

function timeText(ms: number): string {
  return ms < 0 ? "-" : new Date(ms).toISOString();
}
