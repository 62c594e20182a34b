// A whole cluster in a simulated world: three to five combined nodes as `blum start` composes them, and producers of this project's client, on
// simulated disks, links and time. Under kills, pauses and cut links no acknowledged record may be lost; after healing everything must finish.

import { Admin, Consumer, Producer } from "@blumfeld/client";
import type { Uuid } from "@blumfeld/core/base";
import { formatNode } from "blumfeld/format";
import { MetricRegistry } from "blumfeld/meter";
import { type RunningNode, startNode } from "blumfeld/node";
import { configureNode } from "blumfeld/options";
import { FaultyDisk } from "../../disk/faulty-disk.ts";
import { SimLinks } from "../sim-network.ts";
import { InvariantBroken, type SimProcess, SimWorld } from "../world.ts";

/** After healing everything has to be done within this time. */
export const clusterHealingMsMax = 60_000;
const brokerPort = 9092;
const controllerPort = 9093;
const clusterId = "c2ltdWxhdGVkLWNsdXN0ZQ" as Uuid;
const topic = "orders";
const partitionCount = 2;
/** A cluster that cannot be started under no faults within this time is broken. */
const startMsMax = 60_000;

export interface ClusterSimResult {
  readonly seed: number;
  readonly hash: string;
  readonly failure: string | null;
  readonly trace: string;
  readonly simulatedMs: number;
  readonly eventCount: number;
  readonly committedCount: number;
}

export async function runClusterSeed(seed: number, keepsTrace = false): Promise<ClusterSimResult> {
  const world = new SimWorld(seed, { keepsTrace });
  const sim = new ClusterSim(world);
  let failure: string | null = null;
  try {
    await sim.run();
  } catch (error) {
    failure =
      error instanceof InvariantBroken
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error);
    world.trace.add("FAILED");
    world.trace.note(failure);
  }
  return {
    ...{ seed, failure, hash: world.trace.hash, trace: world.trace.text },
    ...{ simulatedMs: world.nowMs, eventCount: world.eventCount, committedCount: sim.acknowledged.size },
  };
}

class NodeProcess implements SimProcess {
  readonly name: string;
  isAlive = true;
  pausedUntilMs = 0;
  wallSkewMs = 0;
  running: RunningNode | null = null;
  failure: unknown = null;
  constructor(name: string) {
    this.name = name;
  }
}

class SimNode {
  readonly id: number;
  readonly disk: FaultyDisk;
  process: NodeProcess | null = null;
  constructor(id: number, disk: FaultyDisk) {
    this.id = id;
    this.disk = disk;
  }
}

class ClusterSim {
  /** Values that were acknowledged. */
  readonly acknowledged = new Set<string>();
  private readonly world: SimWorld;
  private readonly links: SimLinks;
  private readonly nodes: SimNode[] = [];
  private readonly client = new NodeProcess("client");
  private isHealing = false;
  private sentCount = 0;
  private openSends = 0;
  private thrown: unknown = null;

  constructor(world: SimWorld) {
    this.world = world;
    this.links = new SimLinks(world);
    const count = world.pick([3, 3, 4, 5])!;
    for (let id = 1; id <= count; id++) this.nodes.push(this.newNode(id));
    for (const node of this.nodes) this.format(node);
    world.afterEvent = () => this.check();
    world.trace.add(`nodes=${count}`);
  }

  private newNode(id: number): SimNode {
    const { world } = this;
    const node: SimNode = new SimNode(
      id,
      new FaultyDisk({
        seed: world.random.uint32(),
        wallMs: () => Math.floor(world.nowMs),
        later: () => new Promise((resolve) => world.at(world.random.fraction() * 2, node.process, resolve)),
      }),
    );
    return node;
  }

  private settingsOf({ id }: SimNode) {
    const voters = this.nodes.map((node) => `${node.id}@node${node.id}:${controllerPort}`).join(",");
    const properties = {
      "process.roles": "broker,controller",
      "node.id": id,
      "controller.listener.names": "CONTROLLER",
      "controller.quorum.voters": voters,
      "controller.quorum.bootstrap.servers": "",
      listeners: `PLAINTEXT://node${id}:${brokerPort},CONTROLLER://node${id}:${controllerPort}`,
      "log.dirs": "/data",
      "min.insync.replicas": 2,
      "default.replication.factor": 3,
      "offsets.topic.replication.factor": 3,
      "offsets.topic.num.partitions": 1,
      "broker.session.timeout.ms": 3000,
      "broker.heartbeat.interval.ms": 500,
      "replica.lag.time.max.ms": 3000,
      "log.segment.bytes": 1_048_576,
    };
    return configureNode({ properties }).settings;
  }

  private format(node: SimNode): void {
    const { world } = this;
    formatNode(this.settingsOf(node), { disk: node.disk, random: world.random, nowMs: 0, clusterId });
    node.disk.crash({ writes: "none", names: "none" });
  }

  // --- nodes -------------------------------------------------------------------------------------

  private startNode(node: SimNode): void {
    if (node.process !== null) return;
    const { world } = this;
    const process = new NodeProcess(`node${node.id}`);
    node.process = process;
    world.trace.add(`node${node.id} starts`);
    startNode({
      settings: this.settingsOf(node),
      isInMemory: false,
      logger: world.loggerOf(process),
      registry: new MetricRegistry(),
      ports: {
        disk: node.disk,
        clock: world.clockOf(process),
        timers: world.timersOf(process),
        random: world.random,
        network: this.links.networkOf(process),
      },
      onFailure: (error) => {
        process.failure = error;
      },
    }).then(
      (running) => {
        process.running = running;
        world.trace.add(`node${node.id} is ready`);
      },
      (error: unknown) => {
        process.failure ??= error;
      },
    );
  }

  private killNode(node: SimNode): void {
    const { process } = node;
    if (process === null) return;
    const { world } = this;
    process.isAlive = false;
    node.process = null;
    this.links.onKilled(process);
    // The machine goes on: Kafka, too, leaves a partition's records to the page caches of several machines.
    node.disk.crash({ writes: "none", names: "none" });
    world.trace.add(`node${node.id} killed`);
    world.at(this.isHealing ? 50 : world.between(200, 8_000), null, () => this.startNode(node));
  }

  private check(): void {
    if (this.thrown !== null) throw this.thrown;
    for (const node of this.nodes) {
      const failure = node.process?.failure ?? null;
      if (failure !== null) throw failure;
    }
  }

  // --- the run -----------------------------------------------------------------------------------

  async run(): Promise<void> {
    const { world } = this;
    for (const node of this.nodes) world.at(world.below(1000), null, () => this.startNode(node));
    const ports = this.clientPorts();
    const bootstrapServers = this.nodes.map(({ id }) => `node${id}:${brokerPort}`);
    const admin = new Admin({ bootstrapServers, ports });
    await world.runUntil(startMsMax, () => this.nodes.every(({ process }) => process?.running != null));
    if (this.nodes.some(({ process }) => process?.running == null))
      throw new InvariantBroken("the cluster did not start");
    await this.done(
      admin.createTopics([{ name: topic, partitions: partitionCount, replicationFactor: 3 }]),
      30_000,
      "the topic was not made",
    );
    const producer = new Producer({ bootstrapServers, ports, requestTimeoutMs: 5_000, deliveryTimeoutMs: 100_000 });
    this.scheduleSends(producer);
    this.scheduleFaults();
    await world.runUntil(world.nowMs + world.between(15_000, 40_000));
    await this.heal();
    const found = await this.readAll(new Consumer({ bootstrapServers, ports, autoOffsetReset: "earliest" }));
    for (const value of this.acknowledged) {
      if (!found.has(value)) throw new InvariantBroken(`the record ${value} was acknowledged, and is lost`);
      if (found.get(value)! > 1) throw new InvariantBroken(`the record ${value} is there ${found.get(value)} times`);
    }
    world.trace.add(`${this.acknowledged.size} records acknowledged, all there`);
  }

  private clientPorts() {
    const { client, world } = this;
    return {
      network: this.links.networkOf(client),
      clock: world.clockOf(client),
      timers: world.timersOf(client),
      random: world.random,
    };
  }

  /** The value of a promise, or a broken invariant when it takes longer than it may. */
  private async done<Value>(promise: Promise<Value>, timeoutMs: number, problem: string): Promise<Value> {
    const { world } = this;
    let outcome: { readonly value: Value } | { readonly error: unknown } | null = null;
    promise.then(
      (value) => {
        outcome = { value };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    await world.runUntil(world.nowMs + timeoutMs, () => outcome !== null);
    const result = outcome as { readonly value: Value } | { readonly error: unknown } | null;
    if (result === null) throw new InvariantBroken(problem);
    if ("error" in result) throw result.error;
    return result.value;
  }

  private scheduleSends(producer: Producer): void {
    const { world } = this;
    const step = (): void => {
      if (this.isHealing) return;
      const value = `v${++this.sentCount}`;
      this.openSends++;
      producer.send({ topic, key: value, value }).then(
        () => {
          this.openSends--;
          this.acknowledged.add(value);
        },
        () => {
          this.openSends--;
        },
      );
      world.at(world.between(5, 100), null, step);
    };
    world.at(0, null, step);
  }

  private scheduleFaults(): void {
    const { world } = this;
    const step = (): void => {
      if (this.isHealing) return;
      this.fault();
      world.at(world.between(500, 6_000), null, step);
    };
    world.at(world.between(500, 4_000), null, step);
  }

  private fault(): void {
    const { links, world } = this;
    const node = world.pick(this.nodes)!;
    const name = `node${node.id}`;
    switch (world.below(5)) {
      case 0:
      case 1:
        this.killNode(node);
        break;
      case 2:
        if (node.process !== null) {
          const pauseMs = world.between(100, 6_000);
          node.process.pausedUntilMs = world.nowMs + pauseMs;
          world.trace.add(`${name} paused for ${pauseMs} ms`);
        }
        break;
      case 3:
        for (const other of this.nodes) {
          links.cutLink(name, `node${other.id}`);
          if (world.chance(0.6)) links.cutLink(`node${other.id}`, name);
        }
        world.trace.add(`${name} cut off`);
        break;
      case 4:
        links.heal();
        world.trace.add("links healed");
        break;
    }
  }

  private async heal(): Promise<void> {
    const { world } = this;
    this.isHealing = true;
    world.trace.add("healing");
    this.links.heal();
    for (const node of this.nodes) {
      if (node.process === null) world.at(50, null, () => this.startNode(node));
      else node.process.pausedUntilMs = 0;
    }
    const isWell = (): boolean => this.openSends === 0 && this.nodes.every(({ process }) => process?.running != null);
    const beganMs = world.nowMs;
    await world.runUntil(beganMs + clusterHealingMsMax, isWell);
    if (!isWell()) {
      const down = this.nodes.filter(({ process }) => process?.running == null).map(({ id }) => id);
      throw new InvariantBroken(
        `not well ${clusterHealingMsMax / 1000} s after healing: ${this.openSends} sends are open, nodes not ready: ${down.join(", ") || "none"}`,
      );
    }
    world.trace.add(`well after ${Math.round(world.nowMs - beganMs)} ms`);
  }

  private async readAll(consumer: Consumer): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    const partitions = Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition }));
    await this.done(Promise.resolve(consumer.assign(partitions)), 20_000, "the consumer got no partitions");
    // Leaders may still hear of each other: what was acknowledged has to come within the time of healing, and then a silence says that no more does.
    const endMs = this.world.nowMs + clusterHealingMsMax;
    const hasAll = (): boolean => [...this.acknowledged].every((value) => found.has(value));
    for (let silent = 0; silent < 3 || (!hasAll() && this.world.nowMs < endMs); ) {
      const messages = await this.done(consumer.poll(1_000), 30_000, "the records could not be read");
      silent = messages.length === 0 ? silent + 1 : 0;
      for (const { value } of messages) {
        const text = String(value);
        found.set(text, (found.get(text) ?? 0) + 1);
      }
    }
    return found;
  }
}
