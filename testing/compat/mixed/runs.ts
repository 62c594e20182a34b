// npm run compat -- mixed: clusters of our nodes and Apache Kafka's together. Replicas of one topic lie on three brokers; who leads moves from
// make to make while an idempotent producer writes, brokers are stopped and killed, and at the end nothing may be lost, come twice or differ.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Admin, type PartitionDescription } from "@blumfeld/client";
import { Checklist } from "../members/cluster.ts";
import { judge } from "../runner/checks.ts";
import type { ClientReport } from "../runner/report.ts";
import { Coordinators, movedTopics, transactionTopic } from "./coordinators.ts";
import { judgeRead, NumberingLoad, partitionCount, topic } from "./load.ts";
import { MixedNodes, type NodePlan } from "./nodes.ts";
import { unequalReplicas } from "./replicas.ts";

type MixedRun = {
  readonly name: string;
  readonly plans: readonly NodePlan[];
  /** These start with the cluster; the others join when the topic is there and written to. */
  readonly first: readonly number[];
  /** Stopped, then killed, then started again under load. */
  readonly restarted: readonly number[];
  /** Whether the active controller is stopped until one of each make has been active. */
  readonly movesController: boolean;
};

export const mixedRuns: readonly MixedRun[] = [
  {
    name: "mixed-kafka-broker",
    plans: [
      { id: 1, make: "ours", roles: "broker,controller" },
      { id: 2, make: "ours", roles: "broker" },
      { id: 3, make: "kafka", roles: "broker" },
    ],
    ...{ first: [1, 2], restarted: [3, 2], movesController: false },
  },
  {
    name: "mixed-kafka-controller",
    plans: [
      { id: 1, make: "kafka", roles: "broker,controller" },
      { id: 2, make: "ours", roles: "broker" },
      { id: 3, make: "ours", roles: "broker" },
    ],
    ...{ first: [1, 2], restarted: [3, 2], movesController: false },
  },
  {
    name: "mixed-voters",
    plans: [
      { id: 1, make: "ours", roles: "broker,controller" },
      { id: 2, make: "kafka", roles: "broker,controller" },
      { id: 3, make: "kafka", roles: "broker,controller" },
    ],
    ...{ first: [1, 2, 3], restarted: [], movesController: true },
  },
];

const properties = {
  "min.insync.replicas": 2,
  "auto.create.topics.enable": "false",
  "log.retention.ms": -1,
  "offsets.topic.replication.factor": 3,
  "offsets.topic.num.partitions": 1,
  "transaction.state.log.replication.factor": 3,
  "transaction.state.log.min.isr": 2,
  "transaction.state.log.num.partitions": 1,
  "replica.lag.time.max.ms": 4000,
  "broker.session.timeout.ms": 4000,
  "broker.heartbeat.interval.ms": 500,
  "controller.quorum.election.timeout.ms": 1000,
  "controller.quorum.fetch.timeout.ms": 2000,
};

const waitMsMax = 45_000;
const loadMs = 1_500;
const metadataFolder = "__cluster_metadata-0";
const logTailBytesMax = 2_000;
const controllerStopsMin = 4;
/** Stops of the active controller before it counts as a failure that one make never led. */
const controllerStopsMax = 6;

type Options = { command: string; keep: boolean; verbose: boolean; say: (line: string) => void };

class Mixed {
  readonly #run: MixedRun;
  readonly #nodes: MixedNodes;
  readonly #admin: Admin;
  readonly #load: NumberingLoad;
  readonly #coordinators: Coordinators;
  readonly #list: Checklist;
  readonly #say: (line: string) => void;

  constructor(run: MixedRun, nodes: MixedNodes, list: Checklist, say: (line: string) => void) {
    this.#run = run;
    this.#nodes = nodes;
    this.#list = list;
    this.#say = say;
    this.#admin = new Admin({ bootstrapServers: nodes.bootstrap, apiTimeoutMs: 30_000, requestTimeoutMs: 5_000 });
    this.#load = new NumberingLoad(nodes.bootstrap);
    this.#coordinators = new Coordinators(nodes.bootstrap, this.#admin, partitionCount);
  }

  async run(): Promise<void> {
    const all = this.#nodes.brokerIds;
    const { first, restarted } = this.#run;
    await this.#step("start", () => this.#nodes.start(first));
    await this.#step("create the topic", () => this.#create(first));
    this.#load.start();
    const later = all.filter((id) => !first.includes(id));
    if (later.length > 0) {
      await this.#step(`join: ${later.join(", ")}`, () => this.#nodes.start(later));
      await this.#step("replicas on the one that joined", () => this.#spread());
    }
    for (const id of [...all.slice(1), ...all, ...all.slice(1)].reverse())
      await this.#step(`lead: ${id}`, () => this.#lead(id), true);
    await this.#step("groups and a transactional producer", () => this.#startCoordinators());
    await this.#moveCoordinators([...all, ...all].reverse());
    for (const id of restarted) await this.#restart(id);
    if (this.#run.movesController) await this.#moveController();
    await this.#moveCoordinators([...all].reverse());
    await this.#step("the load ends", () => this.#load.stop());
    const { confirmed, failures } = this.#load;
    this.#list.note("every record is confirmed", failures.join("; "));
    this.#say(`${this.#run.name}: ${confirmed} records confirmed`);
    await this.#step("all in sync", () => this.#inSync(all));
    for (const id of all) {
      await this.#step(`lead: ${id} at the end`, () => this.#lead(id));
      const wrong = await judgeRead(this.#nodes.bootstrap, this.#load.sent);
      this.#list.note(`what ${this.#nameOf(id)} has is what was sent`, wrong);
    }
    for (const [name, wrong] of await this.#coordinators.judge(this.#load.sent)) this.#list.note(name, wrong);
    this.#list.note("no node ended by itself", this.#nodes.ended().join("; "));
    const folders: string[] = [];
    for (const name of [topic, ...movedTopics])
      for (const { partition } of await this.#partitionsOf(name)) folders.push(`${name}-${partition}`);
    const { highWatermark } = await this.#admin.describeQuorum();
    this.#list.note("all stop on SIGTERM", (await this.#nodes.stopAll()).join("; "));
    const dataDirs = all.map((id) => this.#nodes.node(id).dataDir);
    for (const folder of folders) this.#list.note(`replicas of ${folder} are equal`, unequalReplicas(dataDirs, folder));
    const metadata = unequalReplicas(dataDirs, metadataFolder, highWatermark);
    this.#list.note("the metadata log is the same on every node", metadata);
  }

  /** Ends what still works; where the cluster is broken nothing is waited for. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#load.close(), this.#coordinators.close()]);
    await this.#admin.close();
  }

  #nameOf(id: number): string {
    return `node ${id} (${this.#nodes.node(id).make})`;
  }

  /** Names that come again are noted once, with a number behind. */
  readonly #times = new Map<string, number>();

  /** `work` may resolve with what was wrong. */
  async #step(name: string, work: () => Promise<unknown>, isLoaded = false): Promise<void> {
    const times = (this.#times.get(name) ?? 0) + 1;
    this.#times.set(name, times);
    const startedMs = performance.now();
    const before = this.#load.confirmed;
    try {
      const wrong = await work();
      if (typeof wrong === "string" && wrong !== "") throw new Error(wrong);
      if (isLoaded) await this.#written(before);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`${name}: ${why}`);
    }
    this.#list.note(times === 1 ? name : `${name} (${times})`, "");
    this.#say(`${this.#run.name}: ${name}: ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  }

  /** The load goes on for a while, and comes through. */
  async #written(before: number): Promise<void> {
    await sleep(loadMs);
    await this.#until("records are confirmed", async () => {
      if (this.#load.confirmed > before) return true;
      const found = await this.#partitionsOf(topic);
      throw new Error(
        `${this.#load.failures.join("; ")} ${JSON.stringify(found.map(({ isr, leader }) => ({ isr, leader })))}`,
      );
    });
  }

  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const untilMs = performance.now() + waitMsMax;
    let why = "";
    for (;;) {
      try {
        if (await holds()) return;
      } catch (error) {
        why = `: ${error instanceof Error ? error.message : String(error)}`;
      }
      const ended = this.#nodes.ended();
      if (ended.length > 0) throw new Error(ended.join("; "));
      if (performance.now() > untilMs) throw new Error(`not within ${waitMsMax / 1000} s: ${what}${why}`);
      await sleep(100);
    }
  }

  async #create(ids: readonly number[]): Promise<void> {
    await this.#until(`brokers ${ids.join(", ")} are registered`, async () => {
      const { nodes } = await this.#admin.describeCluster();
      return ids.every((id) => nodes.some((node) => node.nodeId === id));
    });
    const assignments = Array.from({ length: partitionCount }, (_, at) => rotated(ids, at % ids.length));
    for (const { error } of await this.#admin.createTopics([{ name: topic, assignments }])) if (error) throw error;
  }

  async #spread(): Promise<void> {
    await this.#assign(topic, (partition) => rotated(this.#nodes.brokerIds, partition % this.#nodes.brokerIds.length));
    await this.#inSync(this.#nodes.brokerIds);
  }

  async #partitionsOf(name: string): Promise<readonly PartitionDescription[]> {
    const [found] = await this.#admin.describeTopics([name]);
    if (found === undefined || found.error !== null) throw found?.error ?? new Error(`no topic ${name}`);
    return found.partitions;
  }

  async #assign(name: string, replicasOf: (partition: number) => readonly number[]): Promise<void> {
    await this.#until("the controller takes the new replicas", async () => {
      const moves = (await this.#partitionsOf(name)).map(({ partition }) => ({
        ...{ topic: name, partition, replicas: replicasOf(partition) },
      }));
      for (const { error } of await this.#admin.alterReassignments(moves)) if (error) throw error;
      return true;
    });
  }

  async #inSync(ids: readonly number[], name: string = topic): Promise<void> {
    await this.#until(`${ids.join(", ")} are in sync in ${name}`, async () => {
      const found = await this.#partitionsOf(name);
      const isWhole = found.every(({ isr, replicas }) => replicas.length === isr.length);
      if (isWhole && found.every(({ isr }) => ids.every((id) => isr.includes(id)))) return true;
      throw new Error(JSON.stringify(found.map(({ isr, replicas }) => ({ isr, replicas }))));
    });
  }

  /** This broker becomes the preferred leader everywhere, and an election makes it the leader. */
  async #lead(id: number, name: string = topic): Promise<void> {
    const ids = this.#nodes.brokerIds;
    await this.#inSync([id], name);
    await this.#assign(name, () => rotated(ids, ids.indexOf(id)));
    await this.#until(`${this.#nameOf(id)} leads ${name}`, async () => {
      const found = await this.#partitionsOf(name);
      const others = found.filter(({ leader }) => leader !== id);
      if (others.length === 0) return true;
      const wanted = others.map(({ partition }) => ({ topic: name, partition }));
      for (const { error } of await this.#admin.electLeaders("preferred", wanted)) if (error) throw error;
      return false;
    });
  }

  async #startCoordinators(): Promise<void> {
    const wanted = { name: transactionTopic, assignments: [this.#nodes.brokerIds] };
    for (const { error } of await this.#admin.createTopics([wanted])) if (error) throw error;
    await this.#coordinators.start();
    // Before the moves everybody is in his group.
    await sleep(loadMs);
  }

  async #moveCoordinators(ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      const move = async (): Promise<void> => {
        for (const name of movedTopics) await this.#lead(id, name);
      };
      await this.#step(`coordinators and an open transaction go to ${this.#nameOf(id)}`, () =>
        this.#coordinators.turn(id, move),
      );
    }
  }

  async #restart(id: number): Promise<void> {
    const name = this.#nameOf(id);
    await this.#step(`lead: ${id}`, () => this.#lead(id), true);
    await this.#step(`stop ${name} while it leads`, () => this.#nodes.stop(id), true);
    await this.#step(`start ${name} again`, () => this.#nodes.start([id]), true);
    await this.#step(`lead: ${id}`, () => this.#lead(id), true);
    await this.#step(`kill ${name} while it leads`, () => this.#nodes.kill(id), true);
    await this.#step(`start ${name} again`, () => this.#nodes.start([id]), true);
    await this.#step(`in sync again: ${name}`, () => this.#inSync(this.#nodes.brokerIds));
  }

  async #activeController(): Promise<number> {
    let id = -1;
    await this.#until("a controller is active", async () => {
      id = (await this.#admin.describeQuorum()).leaderId;
      return id >= 0 && this.#nodes.node(id).running !== null;
    });
    return id;
  }

  async #moveController(): Promise<void> {
    const makes = new Set<string>();
    for (let stops = 0; stops <= controllerStopsMax; stops++) {
      const id = await this.#activeController();
      makes.add(this.#nodes.node(id).make);
      this.#say(`${this.#run.name}: active controller: ${this.#nameOf(id)}`);
      await this.#step("a topic by the active controller", () => this.#createAndDelete(stops));
      if (makes.size === 2 && stops >= controllerStopsMin) break;
      // By turns as an operator does it, which hands over, and as a machine does it.
      if (stops % 2 === 0) await this.#step("stop the active controller", () => this.#nodes.stop(id), true);
      else await this.#step("kill the active controller", () => this.#nodes.kill(id), true);
      await this.#step("another is active", () => this.#activeController());
      await this.#step("start it again", () => this.#nodes.start([id]), true);
      await this.#step("all in sync again", () => this.#inSync(this.#nodes.brokerIds));
    }
    this.#list.note("controllers of both makes were active", makes.size === 2 ? "" : `only: ${[...makes].join(", ")}`);
  }

  async #createAndDelete(turn: number): Promise<void> {
    const name = `made-${turn}`;
    for (const { error } of await this.#admin.createTopics([{ name, partitions: 3, replicationFactor: 3 }]))
      if (error) throw error;
    await this.#until(`${name} is known`, async () => (await this.#admin.describeTopics([name]))[0]?.error == null);
    for (const { error } of await this.#admin.deleteTopics([name])) if (error) throw error;
  }
}

/** The same in the same circle, from `at` on. */
function rotated(ids: readonly number[], at: number): number[] {
  return [...ids.slice(at), ...ids.slice(0, at)];
}

async function runOne(run: MixedRun, { command, keep, say, verbose }: Options): Promise<Checklist> {
  const list = new Checklist(run.name);
  const directory = mkdtempSync(join(tmpdir(), "blumfeld-compat-mixed-"));
  const nodes = await MixedNodes.prepare(run.plans, command, directory, properties);
  const mixed = new Mixed(run, nodes, list, say);
  try {
    await mixed.run();
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).replaceAll("\n", " ").slice(0, 1000);
    list.note("run", why);
    say(`${run.name}: ${why}`);
  } finally {
    if (verbose || list.checks.some(({ ok }) => !ok))
      for (const { id, make } of nodes.nodes) say(`node ${id} (${make}):\n${nodes.log(id).slice(-logTailBytesMax)}`);
    await mixed.close();
    await Promise.all(nodes.nodes.map(({ id }) => nodes.kill(id)));
    if (keep) say(`kept ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
  return list;
}

/** One after another; one report for each. `command` starts one of our nodes and has `{props}` in it. */
export async function runMixed(names: ReadonlySet<string>, options: Options): Promise<ClientReport[]> {
  const reports: ClientReport[] = [];
  for (const run of mixedRuns.filter(({ name }) => names.has(name))) {
    const startedMs = performance.now();
    const { checks } = await runOne(run, options);
    for (const check of checks) if (!check.ok) options.say(`FAIL ${check.name}: ${check.why}`);
    reports.push({
      client: run.name,
      outcomes: judge(checks, []),
      seconds: (performance.now() - startedMs) / 1000,
    });
  }
  return reports;
}
