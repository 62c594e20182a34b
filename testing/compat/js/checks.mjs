// What the JavaScript programs share: the runner's specification, the lines they print, and the comparison of records.
import { readFileSync } from "node:fs";

const decoded = (text) => (text === null ? null : Buffer.from(text, "base64"));

/** The phase and the specification of the command line; every topic with its records, bytes as Buffers. */
export function load() {
  const [, , phase, file] = process.argv;
  const raw = JSON.parse(readFileSync(file, "utf8"));
  const topics = raw.topics.map((topic) => {
    const next = new Map();
    const records = topic.records.map((index) => {
      const { timestamp, key, value, valueIsTopic, headers, ...record } = raw.records[index];
      const partition = record.partition % topic.partitions;
      const offset = next.get(partition) ?? 0;
      next.set(partition, offset + 1);
      return {
        partition,
        offset,
        timestamp,
        key: decoded(key),
        value: valueIsTopic ? Buffer.from(topic.name) : decoded(value),
        headers: headers.map(([name, text]) => [name, decoded(text)]),
      };
    });
    return { ...topic, records };
  });
  return { phase, spec: { ...raw, topics } };
}

function shown(value) {
  if (Buffer.isBuffer(value)) return `${value.length} bytes ${value.subarray(0, 24).toString("hex")}`;
  const text = JSON.stringify(value, (_, item) => (typeof item === "bigint" ? `${item}` : item));
  return text === undefined ? "undefined" : text.slice(0, 300);
}

export function same(what, want, got) {
  const equal = Buffer.isBuffer(want) && Buffer.isBuffer(got) ? want.equals(got) : shown(want) === shown(got);
  if (!equal) throw new Error(`${what}: expected ${shown(want)}, got ${shown(got)}`);
}

export function that(holds, what) {
  if (!holds) throw new Error(what);
}

/** Header values by name: clients that give an object keep the order of one name's values, not that of names. */
export function byName(headers) {
  const out = new Map();
  for (const [name, value] of headers) out.set(name, [...(out.get(name) ?? []), value]);
  return out;
}

/** Compares what was read with a topic's records; `got` is in the order of its offsets within each partition. */
export function compare(topic, got, { headersByName }) {
  for (let partition = 0; partition < topic.partitions; partition++) {
    const wanted = topic.records.filter((record) => record.partition === partition);
    const read = got.filter((record) => record.partition === partition);
    same(`records of partition ${partition}`, wanted.length, read.length);
    wanted.forEach((record, i) => {
      const at = `partition ${partition} offset ${i}`;
      same(`${at} offset`, record.offset, read[i].offset);
      if (topic.timestamps) same(`${at} timestamp`, record.timestamp, read[i].timestamp);
      same(`${at} key`, record.key, read[i].key);
      same(`${at} value`, record.value, read[i].value);
      const groups = (headers) =>
        headersByName
          ? [...byName(headers)].flatMap(([name, values]) => values.map((value) => [name, value]))
          : headers;
      const [want, have] = [groups(record.headers), groups(read[i].headers)];
      same(`${at} header names`, want.map(([name]) => name), have.map(([name]) => name)); // biome-ignore format: one line
      want.forEach(([name, value], h) => {
        same(`${at} header ${name}`, value, have[h][1]);
      });
    });
  }
}

/** Records in groups of one request each: these clients make one batch of a request, and a batch has a limit. */
export function requests(records, bytesMax = 700_000) {
  const out = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const record of records) {
    const size = record.value?.length ?? 0;
    if (bytes + size > bytesMax || out.at(-1)?.[0].partition !== record.partition) {
      out.push([]);
      bytes = 0;
    }
    out.at(-1).push(record);
    bytes += size;
  }
  return out;
}

/** Bytes that do not compress to nothing, the same at each call. */
export function pattern(length) {
  const out = Buffer.allocUnsafe(length);
  let x = 2463534242;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    out[i] = x & 0xff;
  }
  return out;
}

export const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** Calls the body until it succeeds: a controller answers before its brokers have replayed a change. */
export async function eventually(body, msMax = 10_000) {
  const until = performance.now() + msMax;
  for (;;) {
    try {
      return await body();
    } catch (error) {
      if (performance.now() > until) throw error;
      await sleep(50);
    }
  }
}

export async function within(ms, what, promise) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** The error that the body throws. */
export async function fails(body) {
  try {
    await body();
  } catch (error) {
    return error;
  }
  throw new Error("expected an error, but it succeeded");
}

export async function check(name, body) {
  const started = performance.now();
  try {
    await body();
    console.log(`ok ${name}`);
  } catch (error) {
    const where = /(?:main|checks)\.mjs:\d+/.exec(error.stack?.split("\n").slice(1).join("\n") ?? "")?.[0] ?? "";
    console.log(`FAIL ${name}: ${`${error.message} (${where})`.replaceAll(/\s+/g, " ")}`);
  }
  if (process.env.COMPAT_TIMES) console.log(`# ${Math.round(performance.now() - started)} ms ${name}`);
}

export function done() {
  console.log("done");
  process.exit(0);
}
