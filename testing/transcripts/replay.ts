// Sends what was recorded to another broker, in the recorded order, and compares what comes back. Requests are patched where they carry an id
// that the recorded broker gave out. Starts no broker.
import {
  type ApiKey,
  apis,
  decodeRequestHead,
  decodeResponseFrame,
  encodeRequestFrame,
  type RequestInitOf,
} from "@blumfeld/core/protocol";
import { WireConnection } from "../wire/index.ts";
import { Comparison, type Difference, isStruct } from "./compare.ts";
import { withOurProducer } from "./records.ts";
import type { FrameLine, Line } from "./transcript.ts";
import { fieldKinds, ValueTable } from "./values.ts";

export interface Target {
  /** Ports of the broker under test by the recorded listener's name; connections to others are passed over. */
  readonly ports: Readonly<Record<string, number>>;
}

export interface ReplayOptions {
  readonly lines: readonly Line[];
  readonly target: Target;
  readonly values?: ValueTable;
  /** Done before the first request with this correlation id: what the recorded client did on a connection that was not recorded. */
  readonly before?: Readonly<Record<number, () => Promise<void>>>;
  /** Takes out of an answer what the recorded cluster had and this one need not have. */
  readonly scope?: (api: string, answer: Record<string, unknown>) => void;
  readonly answerMsMax?: number;
  /** As slow as it was recorded: where the broker's own intervals show. */
  readonly isPaced?: boolean;
  /** APIs that the broker under test does not serve: their requests are not sent. */
  readonly apisSkipped?: ReadonlySet<number>;
}

export interface Finding extends Difference {
  /** `17 CreateTopics v7 "admin"`. */
  readonly request: string;
}

export interface ReplayReport {
  readonly answers: number;
  readonly fields: number;
  readonly skippedConnections: number;
  readonly skippedRequests: number;
  readonly findings: readonly Finding[];
}

const answerMsMaxDefault = 15_000;

/** Answers that passed by themselves: the recorded broker was not ready yet (14, 15), or ended a transaction first (51); its client asked again. */
const retriedCodes: ReadonlySet<unknown> = new Set([14, 15, 51]);

function isRetried(answer: Record<string, unknown>): boolean {
  const found = answer.coordinators as { errorCode: number }[] | undefined;
  return retriedCodes.has(answer.errorCode) || found?.some((each) => retriedCodes.has(each.errorCode)) === true;
}

interface Open {
  readonly connection: WireConnection;
  /** Closed by either side, as recorded. */
  isOver: boolean;
  readonly requests: Map<number, { line: FrameLine; sent: Buffer }>;
}

class Replay {
  readonly findings: Finding[] = [];
  answers = 0;
  fields = 0;
  skippedConnections = 0;
  skippedRequests = 0;
  private readonly options: ReplayOptions;
  private readonly values: ValueTable;
  private readonly connections = new Map<number, Open | null>();
  private readonly done = new Set<number>();

  constructor(options: ReplayOptions) {
    this.options = options;
    this.values = options.values ?? new ValueTable();
  }

  async run(): Promise<void> {
    try {
      const began = performance.now() - (this.options.lines[0]?.t ?? 0);
      for (const line of this.options.lines) {
        if (this.options.isPaced && line.dir === "req") await pauseUntil(began + line.t);
        if (line.dir === "open") await this.open(line.via, line.conn);
        const open = this.connections.get(line.conn) ?? null;
        if (open === null) continue;
        if (line.dir === "req") await this.request(open, line as FrameLine);
        else if (line.dir === "resp") await this.response(open, line as FrameLine);
        else if (line.dir === "client-closed") {
          open.isOver = true;
          open.connection.destroy();
        } else if (line.dir === "server-closed" && !open.isOver) await this.closedByServer(open);
      }
    } finally {
      for (const open of this.connections.values()) open?.connection.destroy();
    }
  }

  private async open(via: string, conn: number): Promise<void> {
    const port = this.options.target.ports[via];
    if (port === undefined) {
      this.skippedConnections++;
      this.connections.set(conn, null);
      return;
    }
    const connection = await WireConnection.open(port);
    this.connections.set(conn, { connection, isOver: false, requests: new Map() });
  }

  private async request(open: Open, line: FrameLine): Promise<void> {
    const before = this.options.before?.[line.corr];
    if (before !== undefined && !this.done.has(line.corr)) {
      this.done.add(line.corr);
      await before();
    }
    if (this.options.apisSkipped?.has(line.key)) {
      this.skippedRequests++;
      return;
    }
    const sent = this.patched(line);
    open.requests.set(line.corr, { line, sent });
    open.connection.write(sent);
  }

  /** The recorded request with this broker's ids; as it was where it cannot be read. */
  private patched(line: FrameLine): Buffer {
    const bytes = Buffer.from(line.hex, "hex");
    if (line.api === "raw") return bytes;
    try {
      const head = decodeRequestHead(bytes.subarray(4));
      if ("unsupported" in head) return bytes;
      const request = this.translated("", head.api.decodeRequest(head.reader, head.version));
      const pieces = encodeRequestFrame(head.api.key, head.version, head, request as RequestInitOf<ApiKey>);
      return Buffer.concat(pieces);
    } catch {
      return bytes;
    }
  }

  private translated(name: string, value: unknown): unknown {
    if (name === "records" && Buffer.isBuffer(value)) return withOurProducer(value, this.values);
    const kind = fieldKinds[name];
    if (kind !== undefined && typeof value !== "object") return this.values.ours(kind, value);
    if (Array.isArray(value)) return value.map((each) => this.translated(name, each));
    if (!isStruct(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([field, each]) => [field, this.translated(field, each)]));
  }

  private async response(open: Open, line: FrameLine): Promise<void> {
    if (this.options.apisSkipped?.has(line.key)) return;
    const request = open.requests.get(line.corr)?.line;
    const label = `${line.corr} ${line.api} v${line.version} "${request?.client ?? ""}"`;
    if (open.isOver) return;
    const frame = await open.connection.frame(this.options.answerMsMax ?? answerMsMaxDefault).catch(() => undefined);
    if (frame === undefined || frame === null) {
      const ours = frame === null ? "the connection was closed" : "no answer";
      this.findings.push({ request: label, path: "", recorded: "an answer", ours });
      open.isOver = true;
      return;
    }
    this.answers++;
    this.compare(label, line, frame);
  }

  private compare(label: string, line: FrameLine, frame: Buffer): void {
    const key = line.key as ApiKey;
    // A version that is not served is answered in version 0.
    const version = apis.get(key)!.supports(line.version) ? line.version : 0;
    const read = (bytes: Buffer) => decodeResponseFrame(key, version, bytes) as unknown as Record<string, unknown>;
    const recorded = read(Buffer.from(line.hex, "hex").subarray(4));
    let ours: Record<string, unknown>;
    try {
      ours = read(frame);
    } catch (error) {
      this.findings.push({ request: label, path: "", recorded: "readable", ours: String(error) });
      return;
    }
    if (isRetried(recorded)) return;
    this.options.scope?.(line.api, recorded);
    this.options.scope?.(line.api, ours);
    const comparison = new Comparison(line.api, this.values);
    comparison.compare("", "", recorded, ours);
    this.fields += comparison.fields;
    for (const difference of comparison.differences) this.findings.push({ request: label, ...difference });
  }

  private async closedByServer(open: Open): Promise<void> {
    const last = [...open.requests.values()].at(-1)?.line;
    open.isOver = true;
    try {
      await open.connection.ended(this.options.answerMsMax ?? answerMsMaxDefault);
      if (open.connection.framesWaiting > 0) throw new Error("an answer came");
    } catch (error) {
      const label = last === undefined ? "a connection without a request" : `${last.corr} ${last.api} "${last.client}"`;
      const ours = error instanceof Error ? error.message : String(error);
      this.findings.push({ request: label, path: "", recorded: "the connection is closed", ours });
    }
  }
}

async function pauseUntil(ms: number): Promise<void> {
  const left = ms - performance.now();
  if (left > 0) await new Promise((wake) => setTimeout(wake, left));
}

export async function replay(options: ReplayOptions): Promise<ReplayReport> {
  const run = new Replay(options);
  await run.run();
  const { answers, fields, skippedConnections, skippedRequests, findings } = run;
  return { answers, fields, skippedConnections, skippedRequests, findings };
}
