// The records that every client writes and every other client reads back. Explicit in one JSON file (bytes in base64), so that no
// client needs a generator of its own and no client can be wrong about what is expected.
import { seededRandom } from "@blumfeld/core/base";

/** What a record asks of a client; a client names those that its interface cannot write. */
export type RecordTrait =
  | "nullKey"
  | "emptyKey"
  | "binaryKey"
  | "nullValue"
  | "emptyValue"
  | "binaryValue"
  | "nullHeader"
  | "emptyHeader"
  | "binaryHeader"
  | "repeatedHeader";

export type FixtureRecord = {
  partition: number;
  timestamp: number;
  /** base64, or null */
  key: string | null;
  /** base64, or null; absent where `valueIsTopic` */
  value?: string | null;
  /** The value is the topic's name in UTF-8, so that records of one topic cannot pass for another's. */
  valueIsTopic?: true;
  headers: [name: string, value: string | null][];
};

/** A topic of the fixture: its records are those of `records` with these indexes, in this order within each partition. */
export type FixtureTopic = {
  name: string;
  client: string;
  codec: string;
  /** A record of partition p stands in partition p modulo this. */
  partitions: number;
  /** False where the writer cannot set timestamps; then any timestamp is right. */
  timestamps: boolean;
  records: number[];
};

export const fixtureSeed = 8231;
export const fixturePartitions = 2;
/** Below the default message.max.bytes of brokers and clients with room for the batch; whole MiBs are the clients' own checks. */
export const fixtureBigBytes = 1_000_000;
const fixtureStartMs = 1_700_000_000_000;
const ordinaryRecords = 24;

const text = (value: string): string => Buffer.from(value, "utf8").toString("base64");

type Content = Pick<FixtureRecord, "key" | "value" | "valueIsTopic" | "headers">;

function specialContents(random: ReturnType<typeof seededRandom>): Content[] {
  const binary = Buffer.from([0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x0a, 0x0d, 0]).toString("base64");
  const big = Buffer.concat([
    random.bytes(fixtureBigBytes / 2),
    Buffer.alloc(fixtureBigBytes / 2, "compressible text "),
  ]);
  return [
    { key: text("first"), valueIsTopic: true, headers: [] },
    { key: text("second"), valueIsTopic: true, headers: [] },
    { key: null, value: text("no key"), headers: [] },
    { key: text("tombstone"), value: null, headers: [] },
    { key: null, value: null, headers: [] },
    { key: text(""), value: text("empty key"), headers: [] },
    { key: text("empty value"), value: text(""), headers: [] },
    { key: binary, value: text("binary key"), headers: [] },
    { key: text("binary value"), value: binary, headers: [] },
    { key: text("clé-ключ-鍵"), value: text("söme välue"), headers: [["tracé", text("wért")]] },
    { key: text("headers"), value: text("three"), headers: [["a", text("1")], ["b", text("2")], ["c", text("x".repeat(300))]] }, // biome-ignore format: one record a line
    { key: text("repeated header"), value: text("v"), headers: [["h", text("1")], ["h", text("2")], ["h", text("1")]] }, // biome-ignore format: one record a line
    { key: text("null header"), value: text("v"), headers: [["none", null]] },
    { key: text("empty header"), value: text("v"), headers: [["empty", text("")]] },
    { key: text("binary header"), value: text("v"), headers: [["bytes", binary]] },
    { key: text("big"), value: big.toString("base64"), headers: [] },
  ];
}

/** The fixture's records; the same on every machine. */
export function fixtureRecords(): FixtureRecord[] {
  const random = seededRandom(fixtureSeed);
  const contents = specialContents(random);
  for (let i = 0; i < ordinaryRecords; i++) {
    const noise = random.bytes(random.below(1500)).toString("base64");
    const value = `record ${i} ${"again and again ".repeat(random.below(100))}${noise}`;
    contents.push({
      key: text(`key-${i % 7}`),
      value: text(value),
      headers: i % 5 === 0 ? [["index", text(`${i}`)]] : [],
    });
  }
  return contents.map((content, i) => {
    // Not in order, so that the greatest timestamp is not at the end.
    const timestamp = fixtureStartMs + (i % 6 === 5 ? i - 4 : i) * 1000;
    return { partition: i % fixturePartitions, timestamp, ...content };
  });
}

const isText = (base64: string): boolean => {
  const bytes = Buffer.from(base64, "base64");
  return Buffer.from(bytes.toString("utf8"), "utf8").equals(bytes) && !bytes.includes(0);
};

export function traitsOf(record: FixtureRecord): Set<RecordTrait> {
  const traits = new Set<RecordTrait>();
  const { key, value } = record;
  if (key === null) traits.add("nullKey");
  else if (key === "") traits.add("emptyKey");
  else if (!isText(key)) traits.add("binaryKey");
  if (value === null) traits.add("nullValue");
  else if (value === "") traits.add("emptyValue");
  else if (value !== undefined && !isText(value)) traits.add("binaryValue");
  for (const [, header] of record.headers) {
    if (header === null) traits.add("nullHeader");
    else if (header === "") traits.add("emptyHeader");
    else if (!isText(header)) traits.add("binaryHeader");
  }
  if (new Set(record.headers.map(([name]) => name)).size < record.headers.length) traits.add("repeatedHeader");
  return traits;
}

/** The topics that a client writes: one a codec, with the records that its interface can express. */
export function fixtureTopics(
  client: {
    name: string;
    codecs: readonly string[];
    omits: readonly RecordTrait[];
    timestamps: boolean;
    partitions?: number;
  },
  records: readonly FixtureRecord[],
  tag: string,
): FixtureTopic[] {
  const indexes = records.flatMap((record, index) => {
    const traits = traitsOf(record);
    return client.omits.some((trait) => traits.has(trait)) ? [] : [index];
  });
  return client.codecs.map((codec) => ({
    name: `compat-${client.name}-${codec}${tag}`,
    client: client.name,
    codec,
    partitions: client.partitions ?? fixturePartitions,
    timestamps: client.timestamps,
    records: indexes,
  }));
}
