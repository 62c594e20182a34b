// Two answers to one request, field by field. What Kafka itself gives differently from run to run is named here, each with the reason; all
// else must be the same, texts included.
import { listRecords } from "./records.ts";
import { fieldKinds, type ValueTable } from "./values.ts";

export interface Difference {
  /** `topics[0].partitions[1].errorCode`. */
  readonly path: string;
  readonly recorded: string;
  readonly ours: string;
}

/** Fields whose value is the broker's own affair: only the sign must be the same (-1 where there is none). */
const signOnly: ReadonlySet<string> = new Set([
  // Positions in this cluster's own metadata log, and its epochs.
  "finalizedFeaturesEpoch",
  "brokerEpoch",
  "logEndOffset",
  "DescribeQuorum.leaderEpoch",
  "DescribeQuorum.highWatermark",
  // Clocks.
  "logAppendTimeMs",
  "lastTimestamp",
  "lastFetchTimestamp",
  "lastCaughtUpTimestamp",
  "issueTimestampMs",
  "expiryTimestampMs",
  "maxTimestampMs",
  "transactionStartTimeMs",
  "transactionTimeoutMs",
  // Bytes on this machine's disk, and how the records were batched.
  "totalBytes",
  "usableBytes",
  "partitionSize",
]);

/** Texts for people, each broker's own: only none, empty and some are told apart. */
const anyText: ReadonlySet<string> = new Set([
  "errorMessage",
  "batchIndexErrorMessage",
  "documentation",
  "logDir",
  "hmac",
  "salt",
]);

/** What tells the elements of an array apart, where its order comes from a hash map. */
const identityFields = [
  "topicId",
  "name",
  "topic",
  "topicName",
  "resourceName",
  "configName",
  "groupId",
  "transactionalId",
  "apiKey",
  "memberId",
  "nodeId",
  "brokerId",
  "partitionIndex",
  "partitionId",
  "partition",
  "index",
  "errorCode",
] as const;
/** Arrays whose order means something. */
const ordered: ReadonlySet<string> = new Set(["replicaNodes", "isrNodes", "replicas", "requestedMetrics", "synonyms"]);

export class Comparison {
  readonly differences: Difference[] = [];
  /** Values that were compared. */
  fields = 0;
  private readonly api: string;
  private readonly values: ValueTable;

  constructor(api: string, values: ValueTable) {
    this.api = api;
    this.values = values;
  }

  compare(path: string, name: string, recorded: unknown, ours: unknown): void {
    const kind = fieldKinds[name];
    if (!isStruct(recorded) && !Array.isArray(recorded)) this.fields++;
    if (kind !== undefined && typeof recorded !== "object") {
      if (!this.values.bind(kind, recorded, ours)) this.differ(path, this.values.ours(kind, recorded), ours);
      return;
    }
    if (signOnly.has(name) || signOnly.has(`${this.api}.${name}`)) {
      if (signOf(recorded) !== signOf(ours)) this.differ(path, recorded, ours);
      return;
    }
    if (anyText.has(name)) {
      if (textKindOf(recorded) !== textKindOf(ours)) this.differ(path, recorded, ours);
      return;
    }
    if (name === "records") return this.compareRecords(path, recorded, ours);
    if (Buffer.isBuffer(recorded) && Buffer.isBuffer(ours)) {
      if (!recorded.equals(ours)) this.differ(path, recorded.toString("hex"), ours.toString("hex"));
      return;
    }
    if (Array.isArray(recorded) && Array.isArray(ours)) return this.compareArrays(path, name, recorded, ours);
    if (isStruct(recorded) && isStruct(ours)) {
      for (const field of Object.keys(recorded)) this.compare(`${path}.${field}`, field, recorded[field], ours[field]);
      return;
    }
    if (recorded !== ours) this.differ(path, recorded, ours);
  }

  private compareRecords(path: string, recorded: unknown, ours: unknown): void {
    const one = listOf(recorded);
    const other = listOf(ours);
    for (let i = 0; i < Math.max(one.length, other.length); i++) {
      if (one[i] !== other[i]) this.differ(`${path}[${i}]`, one[i], other[i]);
    }
  }

  private compareArrays(path: string, name: string, recorded: readonly unknown[], ours: readonly unknown[]): void {
    if (ordered.has(name) || !recorded.every(isStruct) || !ours.every(isStruct)) {
      if (recorded.length !== ours.length) return this.differ(path, recorded, ours);
      recorded.forEach((each, i) => void this.compare(`${path}[${i}]`, "", each, ours[i]));
      return;
    }
    // An element with a counterpart is compared with it; what is left on either side is told as missing or as one too many.
    const left = new Map(ours.map((each) => [each, this.identity(each, false)]));
    const unmatched: unknown[] = [];
    recorded.forEach((each, i) => {
      const identity = this.identity(each, true);
      const match = [...left].find(([, other]) => other === identity)?.[0];
      if (match === undefined) {
        unmatched.push(each);
        return;
      }
      left.delete(match);
      this.compare(`${path}[${i}]`, "", each, match);
    });
    const rest = [...left.keys()];
    for (const each of unmatched) {
      const other = rest.shift();
      if (other === undefined) this.differ(`${path}[]`, each, undefined);
      else this.compare(`${path}[]`, "", each, other);
    }
    for (const each of rest) this.differ(`${path}[]`, undefined, each);
  }

  private identity(value: Readonly<Record<string, unknown>>, isRecorded: boolean): string {
    const parts: string[] = [];
    for (const field of identityFields) {
      const one = value[field];
      if (one === undefined || typeof one === "object") continue;
      const kind = fieldKinds[field];
      parts.push(`${field}=${String(kind !== undefined && isRecorded ? this.values.ours(kind, one) : one)}`);
    }
    return parts.join(" ");
  }

  private differ(path: string, recorded: unknown, ours: unknown): void {
    this.differences.push({ path: path.replace(/^\./, ""), recorded: textOf(recorded), ours: textOf(ours) });
  }
}

function listOf(records: unknown): string[] {
  if (records === null || records === undefined) return [];
  const bytes = Buffer.isBuffer(records) ? records : Buffer.concat(records as Buffer[]);
  return listRecords(bytes);
}

export function isStruct(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
}

function signOf(value: unknown): number | null {
  if (typeof value === "bigint") return value < 0n ? -1 : 1;
  if (typeof value === "number") return value < 0 ? -1 : 1;
  return null;
}

function textKindOf(value: unknown): string {
  return value === null ? "none" : value === "" ? "empty" : typeof value;
}

const textLengthMax = 400;

function textOf(value: unknown): string {
  const text =
    JSON.stringify(value, (_key, each: unknown) => (typeof each === "bigint" ? `${each}n` : each)) ?? "nothing";
  return text.length > textLengthMax ? `${text.slice(0, textLengthMax)}…` : text;
}
