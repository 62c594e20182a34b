// What every run with members in processes of their own stands on: a broker whose time-outs are short, a driver, and the clients'
// programs. Runs share them one after the other; each uses topics and groups of its own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTarget, type Target } from "../runner/broker.ts";
import type { Check } from "../runner/checks.ts";
import type { Program } from "../runner/client.ts";
import { clients } from "../runner/clients.ts";
import { javaProgram } from "../runner/java.ts";
import type { RunningBroker } from "../runner/kafka.ts";
import { Driver } from "./driver.ts";
import { Member, type MemberEvent } from "./member.ts";

/** After so long without a heartbeat a member is out of its group, in every protocol. */
export const sessionMs = 4000;

export const clusterProperties = {
  "group.min.session.timeout.ms": 1000,
  "group.consumer.min.session.timeout.ms": 1000,
  "group.consumer.session.timeout.ms": sessionMs,
  "group.consumer.min.heartbeat.interval.ms": 300,
  "group.consumer.heartbeat.interval.ms": 500,
  "group.share.min.session.timeout.ms": 1000,
  "group.share.session.timeout.ms": sessionMs,
  "group.share.min.heartbeat.interval.ms": 300,
  "group.share.heartbeat.interval.ms": 500,
  "group.share.min.record.lock.duration.ms": 1000,
  "group.share.record.lock.duration.ms": 3000,
  "group.streams.min.session.timeout.ms": 1000,
  "group.streams.session.timeout.ms": sessionMs,
  "group.streams.min.heartbeat.interval.ms": 300,
  "group.streams.heartbeat.interval.ms": 500,
  "group.streams.initial.rebalance.delay.ms": 500,
  "group.initial.rebalance.delay.ms": 500,
  "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
};

export type ClusterOptions = {
  target: Target | { kind: "bootstrap"; bootstrap: string };
  verbose: boolean;
  keep: boolean;
  say: (line: string) => void;
};

/** One run's checks; a thrown error ends the run as a failure of the step it was in. */
export class Checklist {
  readonly checks: Check[] = [];
  readonly #prefix: string;
  constructor(prefix: string) {
    this.#prefix = prefix;
  }
  /** `why` empty: it holds. */
  note(name: string, why: string): void {
    this.checks.push({ name: `${this.#prefix}: ${name}`, ok: why === "", why });
  }
}

export class Cluster {
  readonly tag: string;
  readonly workDir = mkdtempSync(join(tmpdir(), "blumfeld-compat-members-"));
  readonly #options: ClusterOptions;
  readonly #programs = new Map<string, Promise<Program>>();
  #broker: RunningBroker | undefined;
  #driver: Driver | undefined;
  #bootstrap = "";

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.tag = options.target.kind === "bootstrap" ? `-${process.pid}` : "";
  }

  async start(): Promise<void> {
    const java = await this.program("java");
    const { target } = this.#options;
    if (target.kind === "bootstrap") this.#bootstrap = target.bootstrap;
    else {
      this.#broker = await startTarget(target, join(this.workDir, "data"), clusterProperties);
      this.#bootstrap = this.#broker.bootstrap;
    }
    this.#driver = new Driver(java, this.#bootstrap);
    await this.#driver.ready();
  }

  get bootstrap(): string {
    return this.#bootstrap;
  }

  get driver(): Driver {
    if (this.#driver === undefined) throw new Error("the cluster was not started");
    return this.#driver;
  }

  say(line: string): void {
    this.#options.say(line);
  }

  /** `java`, `streams`, or the name of a client that has members. */
  program(name: string): Promise<Program> {
    const found = this.#programs.get(name);
    if (found !== undefined) return found;
    let made: Promise<Program>;
    if (name === "java") made = javaProgram(["members", "java"], "MemberMain");
    else if (name === "streams")
      made = javaProgram(["members-streams", "members", "java"], "WordCountMain", { streams: true });
    else {
      const client = clients.find((each) => each.name === name);
      const member = client?.member;
      if (client === undefined || member === undefined) throw new Error(`${name} has no program for members`);
      made = client.prepare().then(member);
    }
    this.#programs.set(name, made);
    return made;
  }

  /** Starts one process; its events go to `history`. */
  async member(
    client: string,
    name: string,
    role: string,
    options: Readonly<Record<string, string | number>>,
    history: MemberEvent[],
  ): Promise<Member> {
    const program = await this.program(client);
    const pairs = Object.entries({ bootstrap: this.#bootstrap, ...options });
    const args = [role, ...pairs.map(([key, value]) => `${key}=${value}`)];
    return new Member(name, program, args, this.#options.verbose ? this.#loud(history) : history);
  }

  #loud(history: MemberEvent[]): MemberEvent[] {
    const { say } = this.#options;
    return new Proxy(history, {
      get: (list, key) =>
        key === "push"
          ? (event: MemberEvent): number => {
              say(JSON.stringify(event));
              return list.push(event);
            }
          : Reflect.get(list, key),
    });
  }

  brokerFailure(): string {
    const code = this.#broker?.exitCode();
    return code === undefined ? "" : `the broker ended with exit code ${code}: ${this.#broker?.log().slice(-1500)}`;
  }

  async stop(): Promise<void> {
    await this.#driver?.close();
    await this.#broker?.stop();
    if (this.#options.keep) this.say(`kept ${this.workDir}`);
    else rmSync(this.workDir, { recursive: true, force: true });
  }
}
