// `blum start --brokers N`: a process for each node, started together, stopped one after the other so that each hands its leadership over, started again
// when it dies. A child ends by itself when its supervisor is gone: its standard input ends then.
import { Child, ownCommand } from "@blumfeld/host/process";
import type { CliIo } from "../io.ts";
import type { LocalNode } from "./local-nodes.ts";
import { supervisedVariable } from "./supervised.ts";

/** Before a node that died is started again; doubles to the second. */
const restartDelayMs = 1_000;
const restartDelayMsMax = 30_000;
/** A node that ran so long did not die of its start. */
const healthyMs = 60_000;

export interface SupervisorOptions {
  readonly io: CliIo;
  readonly logLevel: string;
}

export class Supervisor {
  private readonly children: Node[];

  constructor(nodes: readonly LocalNode[], options: SupervisorOptions) {
    this.children = nodes.map((node) => new Node(node, options));
  }

  /** Resolves when every node is ready; rejects where one cannot start, with what it said. */
  async start(): Promise<void> {
    await Promise.all(this.children.map((child) => child.start()));
  }

  /** Those without controllers first; each has handed over before the next goes. */
  async stop(): Promise<void> {
    for (const child of [...this.children].reverse()) await child.stop();
  }

  killAll(): void {
    for (const child of this.children) child.kill();
  }

  /** For tests: the process of a node. */
  pidOf(nodeId: number): number | undefined {
    return this.children.find((child) => child.nodeId === nodeId)?.pid;
  }
}

class Node {
  readonly nodeId: number;
  private readonly node: LocalNode;
  private readonly options: SupervisorOptions;
  private child: Child | null = null;
  private isStopping = false;
  private startedMs = 0;
  private delayMs = restartDelayMs;
  private lastWords = "";
  private restart: NodeJS.Timeout | null = null;
  private ended: (() => void) | null = null;

  constructor(node: LocalNode, options: SupervisorOptions) {
    this.nodeId = node.nodeId;
    this.node = node;
    this.options = options;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  start(): Promise<void> {
    const { logLevel } = this.options;
    return new Promise((resolve, reject) => {
      let isReady = false;
      this.startedMs = performance.now();
      this.child = new Child({
        command: ownCommand.command,
        args: [ownCommand.program, "start", "--config", this.node.propertiesFile, "--json", "--log-level", logLevel],
        environment: { [supervisedVariable]: "1" },
        onOutput: (line) => {
          if (isReady || !line.includes('"ready":true')) return this.say(line);
          isReady = true;
          resolve();
        },
        onError: (line) => {
          this.lastWords = line;
          this.say(line);
        },
        onExit: (code, signal) => {
          this.child = null;
          this.ended?.();
          if (this.isStopping) return;
          const how = signal === null ? `with code ${code}` : `by ${signal}`;
          if (!isReady) reject(new Error(`node ${this.nodeId} ended ${how} before it was ready: ${this.lastWords}`));
          else this.startAgain(how);
        },
      });
    });
  }

  private startAgain(how: string): void {
    if (performance.now() - this.startedMs > healthyMs) this.delayMs = restartDelayMs;
    this.say(`ended ${how}; starts again in ${this.delayMs} ms`);
    this.restart = setTimeout(() => {
      this.restart = null;
      this.start().then(
        () => this.say("ready again"),
        () => this.startAgain("before it was ready"),
      );
    }, this.delayMs);
    this.delayMs = Math.min(this.delayMs * 2, restartDelayMsMax);
  }

  stop(): Promise<void> {
    this.isStopping = true;
    if (this.restart !== null) clearTimeout(this.restart);
    const { child } = this;
    if (child === null) return Promise.resolve();
    return new Promise((resolve) => {
      this.ended = resolve;
      child.terminate();
    });
  }

  kill(): void {
    this.isStopping = true;
    this.child?.kill();
  }

  private say(line: string): void {
    this.options.io.error(`node-${this.nodeId} | ${line}\n`);
  }
}
