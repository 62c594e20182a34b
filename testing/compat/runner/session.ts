// One run: starts the broker, lets each client make its checks, lets each read what all others wrote, then stops the broker, reads its
// data directory with Kafka's tools, and starts it again on that directory for one more reading.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTarget, type Target } from "./broker.ts";
import { type Check, judge, knownDifferences, parseChecks } from "./checks.ts";
import type { CompatClient, Phase, Program, Specification } from "./client.ts";
import { type FixtureTopic, fixtureRecords, fixtureTopics } from "./fixture.ts";
import type { RunningBroker } from "./kafka.ts";
import { run } from "./process.ts";
import type { ClientReport } from "./report.ts";

export type SessionOptions = {
  clients: readonly CompatClient[];
  target: Target | { kind: "bootstrap"; bootstrap: string };
  /** Print every line of every program, not only those of failed ones. */
  verbose: boolean;
  /** Leave the broker's data directory and logs. */
  keep: boolean;
  say: (line: string) => void;
};

const failedLogBytesMax = 3000;
const logTailBytesMax = 1500;
const revivalsMax = 5;
const stopMsMax = 40_000;

type Prepared = { client: CompatClient; program: Program; checks: Check[]; seconds: number };

/** Installs two clients at a time; a client that cannot be installed is a failure of its own. */
async function prepareAll(options: SessionOptions): Promise<Prepared[]> {
  const prepared: Prepared[] = [];
  const waiting = options.clients.map((client) => {
    const entry: Prepared = { client, program: { command: "false", args: [] }, checks: [], seconds: 0 };
    prepared.push(entry);
    return entry;
  });
  const worker = async (): Promise<void> => {
    for (let entry = waiting.shift(); entry !== undefined; entry = waiting.shift()) {
      const startedMs = performance.now();
      try {
        entry.program = await entry.client.prepare();
      } catch (error) {
        const why = (error instanceof Error ? error.message : String(error)).trim();
        options.say(`${entry.client.name}: cannot be prepared: ${why}`);
        entry.checks.push({ name: "prepare", ok: false, why: why.replaceAll("\n", " ").slice(0, 1000) });
      }
      const seconds = (performance.now() - startedMs) / 1000;
      if (seconds > 2) options.say(`${entry.client.name}: installed and built in ${seconds.toFixed(0)} s`);
    }
  };
  await Promise.all([worker(), worker()]);
  return prepared;
}

function brokerEntry(): Prepared {
  const client = { name: "broker" } as CompatClient;
  return { client, program: { command: "false", args: [] }, checks: [], seconds: 0 };
}

export class Session {
  readonly #options: SessionOptions;
  readonly #workDir = mkdtempSync(join(tmpdir(), "blumfeld-compat-run-"));
  readonly #records = fixtureRecords();
  readonly #tag: string;
  #written: FixtureTopic[] = [];
  #broker: RunningBroker | undefined;
  /** What the broker itself did, as if it were one more client; absent where it was not started here. */
  readonly #brokerEntry: Prepared | undefined;
  #revivals = 0;
  #bootstrap = "";

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#brokerEntry = options.target.kind === "bootstrap" ? undefined : brokerEntry();
    // A broker that already runs may hold the topics of an earlier run.
    this.#tag = options.target.kind === "bootstrap" ? `-${process.pid}` : "";
  }

  async run(): Promise<ClientReport[]> {
    const prepared = await prepareAll(this.#options);
    const broker = this.#brokerEntry;
    const ready = prepared.filter((entry) => entry.checks.length === 0);
    try {
      if (ready.length > 0) await this.#startBroker();
      for (const entry of ready) await this.#check(entry);
      for (const entry of ready) await this.#read(entry, "read", (topic) => topic.client !== entry.client.name);
      if (broker !== undefined && ready.length > 0) await this.#stopAndReopen(ready, broker);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.say(why);
      const target = broker ?? prepared[0];
      target?.checks.push({ name: "run", ok: false, why: why.replaceAll("\n", " ").slice(0, 1500) });
    } finally {
      await this.#broker?.stop(stopMsMax);
      if (this.#options.keep) this.#options.say(`kept ${this.#workDir}`);
      else rmSync(this.#workDir, { recursive: true, force: true });
    }
    return [...prepared, ...(broker === undefined ? [] : [broker])].map(({ client, checks, seconds }) => {
      const known =
        this.#options.target.kind === "kafka" || checks.some((check) => check.name === "prepare")
          ? []
          : knownDifferences(client);
      return { client: client.name, outcomes: judge(checks, known), seconds };
    });
  }

  async #startBroker(): Promise<void> {
    const { target } = this.#options;
    if (target.kind === "bootstrap") {
      this.#bootstrap = target.bootstrap;
      return;
    }
    const startedMs = performance.now();
    this.#broker = await startTarget(target, join(this.#workDir, "data"));
    this.#bootstrap = this.#broker.bootstrap;
    const seconds = (performance.now() - startedMs) / 1000;
    this.#options.say(`broker ready at ${this.#bootstrap} after ${seconds.toFixed(1)} s, pid ${this.#broker.pid}`);
    if (this.#brokerEntry !== undefined) this.#brokerEntry.seconds += seconds;
  }

  #specification(topics: readonly FixtureTopic[]): Specification {
    const used = new Set(topics.flatMap((topic) => topic.records));
    return {
      bootstrap: this.#bootstrap,
      dataDir: this.#broker?.dataDir ?? null,
      tag: this.#tag,
      records: used.size === 0 ? [] : this.#records,
      topics,
    };
  }

  async #program(entry: Prepared, phase: Phase, topics: readonly FixtureTopic[], prefix: string): Promise<Check[]> {
    const file = join(this.#workDir, `${entry.client.name}-${phase}.json`);
    mkdirSync(this.#workDir, { recursive: true });
    writeFileSync(file, JSON.stringify(this.#specification(topics)));
    const { program } = entry;
    const result = await run(program.command, [...program.args, phase, file], {
      cwd: program.cwd,
      env: program.env,
      deadlineMs: entry.client.deadlineMs,
      onLine: (line) => {
        if (this.#options.verbose || line.startsWith("FAIL ")) this.#options.say(`${entry.client.name}: ${line}`);
      },
    });
    const checks = parseChecks(result.output, result).map((check) => ({ ...check, name: prefix + check.name }));
    entry.checks.push(...checks);
    entry.seconds += result.seconds;
    const failed = checks.filter((check) => !check.ok).length;
    this.#options.say(
      `${entry.client.name} ${phase}: ${checks.length - failed} ok, ${failed} failed, ${result.seconds.toFixed(1)} s`,
    );
    if (checks.some((check) => check.name.endsWith("end")) && !this.#options.verbose) {
      this.#options.say(result.output.slice(-failedLogBytesMax));
    }
    if (phase !== "dump") await this.#reviveBroker(`${entry.client.name} ${phase}`);
    return checks;
  }

  /** A broker that ended during a program starts again on its data, so that the other clients still say something. */
  async #reviveBroker(during: string): Promise<void> {
    const ended = this.#broker;
    const code = ended?.exitCode();
    if (ended === undefined || code === undefined) return;
    const why = `it ended with exit code ${code}: ${ended.log().trim().slice(-logTailBytesMax)}`;
    this.#options.say(`the broker ended during ${during}: ${why}`);
    this.#brokerEntry?.checks.push({ name: `survives ${during}`, ok: false, why: why.replaceAll("\n", " ") });
    ended.remove();
    this.#broker = undefined;
    this.#revivals += 1;
    if (this.#revivals > revivalsMax) throw new Error(`the broker ended ${this.#revivals} times`);
    await this.#startBroker();
  }

  async #check(entry: Prepared): Promise<void> {
    if (!entry.client.phases.includes("check")) return;
    const topics = fixtureTopics(entry.client, this.#records, this.#tag);
    const checks = await this.#program(entry, "check", topics, "");
    // What could not be written cannot be read: that failure is reported once, at its writer.
    const written = new Set(checks.filter((check) => check.ok).map((check) => check.name));
    this.#written.push(...topics.filter((topic) => written.has(`write ${topic.name}`)));
    for (const topic of topics) {
      const reported = checks.some((check) => check.name === `write ${topic.name}` || check.name === "end");
      if (!reported)
        entry.checks.push({ name: `write ${topic.name}`, ok: false, why: "the program did not report it" });
    }
  }

  async #read(entry: Prepared, prefix: string, wanted: (topic: FixtureTopic) => boolean): Promise<void> {
    if (!entry.client.phases.includes("read")) return;
    const topics = this.#written.filter(wanted);
    if (topics.length === 0) return;
    const checks = await this.#program(entry, "read", topics, `${prefix}: `);
    for (const topic of topics) {
      const name = `${prefix}: read ${topic.name}`;
      const reported = checks.some((check) => check.name === name || check.name.endsWith("end"));
      if (!reported) entry.checks.push({ name, ok: false, why: "the program did not report it" });
    }
  }

  async #stopAndReopen(ready: readonly Prepared[], broker: Prepared): Promise<void> {
    const { target } = this.#options;
    if (this.#broker === undefined || target.kind === "bootstrap") return;
    const startedMs = performance.now();
    const ended = await this.#broker.halt(stopMsMax);
    const clean = !ended.killed && (ended.code === 0 || ended.code === 143);
    const why = ended.killed ? `it still ran ${stopMsMax / 1000} s after SIGTERM` : `exit code ${ended.code}`;
    broker.checks.push({ name: "stops on SIGTERM", ok: clean, why: clean ? "" : why });
    broker.seconds += (performance.now() - startedMs) / 1000;
    for (const entry of ready) {
      if (entry.client.phases.includes("dump")) await this.#program(entry, "dump", [], "dump: ");
    }
    this.#broker.remove();
    this.#broker = undefined;
    await this.#startBroker();
    broker.checks.push({ name: "starts again on its data directory", ok: true, why: "" });
    const reader =
      ready.find((entry) => entry.client.phases.includes("read") && entry.client.name === "franz-go") ??
      ready.find((entry) => entry.client.phases.includes("read"));
    if (reader !== undefined) await this.#read(reader, "read after restart", () => true);
  }
}
