// npm run compat: other people's clients against a broker. See README.md.
import { parseArgs } from "node:util";
import { memberRuns, runMembers, sets } from "./members/runs.ts";
import { mixedRuns, runMixed } from "./mixed/runs.ts";
import { ourCommand } from "./runner/broker.ts";
import { clients } from "./runner/clients.ts";
import { kafkaRequestTests, runKafkaTests } from "./runner/kafka-tests.ts";
import { type ClientReport, counts, reportJson, reportText } from "./runner/report.ts";
import { Session, type SessionOptions } from "./runner/session.ts";

const allNames: readonly string[] = [
  ...clients.map((client) => client.name),
  ...memberRuns.map((run) => run.name),
  "kafka-tests",
  kafkaRequestTests.name,
];
/** Only by name: clusters of our nodes and Apache Kafka's, whatever --against says. */
const mixedNames = mixedRuns.map((run) => run.name);
const setsAll: Readonly<Record<string, readonly string[]>> = { ...sets, mixed: mixedNames };
const setLines = Object.entries(setsAll).map(([name, members]) => `${name} = ${members.join(" ")}`);

const usage = `npm run compat -- [OPTIONS] [NAME ...]

Runs other people's clients against a broker; without names all of: ${allNames.join(", ")}.
A set's name stands for several:
  ${setLines.join("\n  ")}

  --against kafka        against Apache Kafka, which proves the programs themselves (default: our broker)
  --broker 'COMMAND'     start the broker by this command line, {props} being its properties file
                         (default: ${ourCommand})
  --bootstrap HOST:PORT  against a broker that already runs
  --json                 one JSON document on standard output instead of the table
  --verbose              print every line of every program
  --keep                 keep the broker's data directory
  --list                 print the names and the sets
`;

function options() {
  const parsed = parseArgs({
    allowPositionals: true,
    options: {
      against: { type: "string" },
      broker: { type: "string" },
      bootstrap: { type: "string" },
      json: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { values } = parsed;
  if (values.against !== undefined && values.against !== "kafka")
    throw new Error(`--against ${values.against}: only kafka is known`);
  const ways = [values.against, values.broker, values.bootstrap].filter((value) => value !== undefined);
  if (ways.length > 1) throw new Error("give one of --against, --broker and --bootstrap");
  if (values.broker !== undefined && !values.broker.includes("{props}"))
    throw new Error("--broker has no {props} in it");
  const names = new Set(parsed.positionals.flatMap((name) => setsAll[name] ?? [name]));
  for (const name of names) {
    if (!allNames.includes(name) && !mixedNames.includes(name))
      throw new Error(`no client is called ${name}; --list prints the names`);
  }
  return { ...values, names };
}

async function main(): Promise<number> {
  const chosen = options();
  const wanted = (name: string): boolean => chosen.names.size === 0 || chosen.names.has(name);
  if (chosen.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (chosen.list) {
    process.stdout.write(`${[...allNames, ...mixedNames, "", "sets:", ...setLines].join("\n")}\n`);
    return 0;
  }
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const command = chosen.broker ?? ourCommand;
  let target: SessionOptions["target"] = { kind: "command", command };
  if (chosen.against === "kafka") target = { kind: "kafka" };
  if (chosen.bootstrap !== undefined) target = { kind: "bootstrap", bootstrap: chosen.bootstrap };
  const against =
    target.kind === "kafka" ? "Apache Kafka" : target.kind === "command" ? target.command : target.bootstrap;

  const reports: ClientReport[] = [];
  const selected = clients.filter((client) => wanted(client.name));
  if (selected.length > 0) {
    const session = new Session({ clients: selected, target, verbose: chosen.verbose, keep: chosen.keep, say });
    reports.push(...(await session.run()));
  }
  const names = new Set(memberRuns.map((run) => run.name).filter(wanted));
  reports.push(...(await runMembers(names, { target, verbose: chosen.verbose, keep: chosen.keep, say })));
  if (wanted("kafka-tests")) reports.push(await runKafkaTests(target, say));
  if (wanted(kafkaRequestTests.name)) reports.push(await runKafkaTests(target, say, kafkaRequestTests));
  const mixed = new Set(mixedNames.filter((name) => chosen.names.has(name)));
  reports.push(...(await runMixed(mixed, { command, verbose: chosen.verbose, keep: chosen.keep, say })));
  process.stdout.write(chosen.json ? reportJson(reports, against) : reportText(reports, `against ${against}`));
  return reports.some((report) => counts(report).failed > 0) ? 1 : 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  },
);
