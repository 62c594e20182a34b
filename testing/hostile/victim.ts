// A broker that is ill-treated, and what must hold meanwhile: a connection of its own goes on writing and reading back (Control), and the
// loop is not held up (StallWatch). The broker runs in this process.
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { type RunningBroker, type StartOptions, startBroker } from "blumfeld";
import { makeBatch, readBatches, WireConnection } from "../wire/index.ts";

/** No input may hold up the loop for longer. */
export const stallMsMax = 100;
const watchMs = 5;

/** Notices when a turn of the loop takes too long. Time that the process was not given by a busy machine is not counted: CPU time is. */
export class StallWatch {
  worstMs = 0;
  private readonly timer: NodeJS.Timeout;

  constructor() {
    let lastMs = performance.now();
    let lastCpu = process.cpuUsage();
    this.timer = setInterval(() => {
      const cpu = process.cpuUsage(lastCpu);
      const nowMs = performance.now();
      this.worstMs = Math.max(this.worstMs, Math.min(nowMs - lastMs, (cpu.user + cpu.system) / 1000));
      lastMs = nowMs;
      lastCpu = process.cpuUsage();
    }, watchMs);
  }

  stop(): number {
    clearInterval(this.timer);
    return this.worstMs;
  }
}

const controlTopic = "control";
const pauseMs = 10;

/** Writes a record, reads it back, again and again. */
export class Control {
  rounds = 0;
  private readonly connection: WireConnection;
  private isOver = false;
  private failure: unknown = null;
  private readonly running: Promise<void>;

  private constructor(connection: WireConnection) {
    this.connection = connection;
    this.running = this.run().catch((error: unknown) => {
      this.failure = error;
    });
  }

  static async start(port: number): Promise<Control> {
    const connection = await WireConnection.open(port);
    await createTopic(connection, controlTopic);
    return new Control(connection);
  }

  /** Throws unless everything went well so far and goes on. */
  async check(): Promise<void> {
    const { rounds } = this;
    const untilMs = performance.now() + 10_000;
    while (this.rounds < rounds + 2 && this.failure === null && performance.now() < untilMs) await pause(pauseMs);
    if (this.failure !== null) throw new Error("the control connection failed", { cause: this.failure });
    if (this.rounds < rounds + 2) throw new Error("the control connection stands still");
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.running;
    this.connection.destroy();
    if (this.failure !== null) throw new Error("the control connection failed", { cause: this.failure });
  }

  private async run(): Promise<void> {
    while (!this.isOver) {
      const text = `record ${this.rounds}`;
      const produced = await produce(this.connection, controlTopic, 0, makeBatch([text]));
      if (produced.errorCode !== ErrorCode.NONE) throw new Error(`produce: error ${produced.errorCode}`);
      if (Number(produced.baseOffset) !== this.rounds) throw new Error(`offset ${produced.baseOffset}`);
      const fetched = await fetch(this.connection, controlTopic, 0, this.rounds);
      const value = readBatches(fetched.records)[0]?.records[0]?.value?.toString();
      if (value !== text) throw new Error(`wrote "${text}" and read "${value}"`);
      this.rounds++;
      await pause(pauseMs);
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}

export interface Victim {
  readonly broker: RunningBroker;
  readonly control: Control;
  readonly port: number;
  open(): Promise<WireConnection>;
  stop(): Promise<void>;
}

export async function startVictim(properties: StartOptions["properties"] = {}): Promise<Victim> {
  const broker = await startBroker({ storage: "memory", port: 0, properties });
  const control = await Control.start(broker.port);
  return {
    broker,
    control,
    port: broker.port,
    open: () => WireConnection.open(broker.port),
    async stop() {
      await control.stop();
      await broker.close();
    },
  };
}

const createTimeoutMs = 10_000;

export async function createTopic(
  connection: WireConnection,
  name: string,
  configs: Readonly<Record<string, string>> = {},
  numPartitions = 1,
): Promise<void> {
  const answer = await connection.ask(ApiKey.CreateTopics, 7, {
    topics: [
      {
        name,
        numPartitions,
        replicationFactor: 1,
        assignments: [],
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      },
    ],
    timeoutMs: createTimeoutMs,
  });
  const { errorCode, errorMessage } = answer.topics[0]!;
  if (errorCode !== ErrorCode.NONE) throw new Error(`creating ${name}: error ${errorCode} ${errorMessage}`);
}

export interface ProduceOptions {
  readonly acks?: number;
  readonly version?: number;
  readonly transactionalId?: string | null;
  /** How long the answer may take. */
  readonly msMax?: number;
}

export async function produce(
  connection: WireConnection,
  topic: string,
  partition: number,
  records: Buffer | null,
  options: ProduceOptions = {},
) {
  const request = {
    transactionalId: options.transactionalId ?? null,
    acks: options.acks ?? -1,
    timeoutMs: createTimeoutMs,
    topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
  };
  const answer = await connection.ask(ApiKey.Produce, options.version ?? 12, request, options.msMax);
  return answer.responses[0]!.partitionResponses[0]!;
}

export interface FetchOptions {
  readonly maxWaitMs?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly currentLeaderEpoch?: number;
  readonly replicaId?: number;
}

/** Version 11: the last one by names whose replica id is a plain field. */
export function fetchRequest(topic: string, partition: number, offset: number | bigint, options: FetchOptions = {}) {
  const maxBytes = options.maxBytes ?? 1024 * 1024;
  return {
    replicaId: options.replicaId ?? -1,
    maxWaitMs: options.maxWaitMs ?? 500,
    minBytes: options.minBytes ?? 1,
    maxBytes,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [
      {
        topic,
        partitions: [
          {
            partition,
            currentLeaderEpoch: options.currentLeaderEpoch ?? -1,
            fetchOffset: offset,
            partitionMaxBytes: maxBytes,
          },
        ],
      },
    ],
  };
}

export async function fetch(
  connection: WireConnection,
  topic: string,
  partition: number,
  offset: number | bigint,
  options: FetchOptions = {},
) {
  const answer = await connection.ask(ApiKey.Fetch, 11, fetchRequest(topic, partition, offset, options));
  return answer.responses[0]!.partitions[0]!;
}

/** First and next offset of a partition. */
export async function offsets(connection: WireConnection, topic: string): Promise<readonly [number, number]> {
  const at = async (timestamp: number): Promise<number> => {
    const answer = await connection.ask(ApiKey.ListOffsets, 7, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }],
    });
    return Number(answer.topics[0]!.partitions[0]!.offset);
  };
  return [await at(-2), await at(-1)];
}
