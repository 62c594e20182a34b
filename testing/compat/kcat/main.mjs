// Drives kcat: -P with files, keys, headers and codecs; -C with formats, offsets and timestamps; -L; -Q.  main.mjs check|read SPECIFICATION
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, compare, done, eventually, load, pattern, same, that } from "../js/checks.mjs";

const mebibyte = 1 << 20;
const { phase, spec } = load();
const folder = mkdtempSync(join(tmpdir(), "compat-kcat-"));
const common = [
  "-b",
  spec.bootstrap,
  "-X",
  "message.max.bytes=4000000",
  "-X",
  "fetch.wait.max.ms=50",
  "-X",
  "topic.metadata.refresh.fast.interval.ms=50",
];

/** Runs kcat with `input` as its standard input; answers its standard output as bytes. */
function kcat(args, input = "") {
  return new Promise((resolve, reject) => {
    const child = spawn("kcat", [...common, ...(args[0] === "-P" ? [] : ["-X", "fetch.wait.max.ms=50"]), ...args], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const [out, err] = [[], []];
    child.stdout.on("data", (bytes) => out.push(bytes));
    child.stderr.on("data", (bytes) => err.push(bytes));
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(Buffer.concat(out));
      else reject(new Error(`kcat ${args.join(" ")}: exit code ${code}: ${Buffer.concat(err)}`));
    });
  });
}

// Partition, offset, timestamp, sizes (-1 is null), then headers, key and value as bytes.
const format = "%p %o %T %K %S %h\n%k%s\n";

/** What `format` printed. Headers are text, `name=value` with commas between; `NULL` is a null value. */
function parsed(bytes) {
  const records = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at);
    // A header may hold any byte, but those of the fixture have no newline before a zero byte.
    const line = bytes.subarray(at, end);
    const [, partition, offset, timestamp, keySize, valueSize, headers] =
      /^(\d+) (\d+) (-?\d+) (-?\d+) (-?\d+) (.*)$/s.exec(line.toString("latin1"));
    at = end + 1;
    const take = (size) => {
      if (Number(size) < 0) return null;
      const field = bytes.subarray(at, at + Number(size));
      at += Number(size);
      return field;
    };
    const [key, value] = [take(keySize), take(valueSize)];
    at += 1;
    records.push({
      partition: Number(partition),
      offset: Number(offset),
      timestamp: Number(timestamp),
      key,
      value,
      headers,
    });
  }
  return records;
}

// kcat prints a header's value up to its first zero byte.
const headerText = (headers) =>
  headers
    .map(
      ([name, value]) =>
        `${Buffer.from(name).toString("latin1")}=${value === null ? "NULL" : value.toString("latin1").split("\0")[0]}`,
    )
    .join(",");

async function write(topic) {
  const compression = ["-z", topic.codec];
  for (const [i, record] of topic.records.entries()) {
    const args = ["-P", "-t", topic.name, "-p", `${record.partition}`, ...compression];
    if (record.key !== null) args.push("-k", record.key.toString());
    for (const [name, value] of record.headers) args.push("-H", `${name}=${value}`);
    if (record.value === null || record.value.length === 0) {
      // A line with only a key and the delimiter is an empty message, which -Z makes null.
      const keyed = args.filter((_, n) => args[n] !== "-k" && args[n - 1] !== "-k");
      await kcat([...keyed, "-K\x01", ...(record.value === null ? ["-Z"] : [])], `${record.key ?? ""}\x01\n`);
    } else {
      const file = join(folder, `${i}`);
      writeFileSync(file, record.value);
      await kcat([...args, file]);
    }
  }
}

async function read(topic) {
  const printed = await kcat(["-C", "-t", topic.name, "-e", "-q", "-o", "beginning", "-f", format]);
  const got = parsed(printed);
  for (const record of got) {
    const wanted = topic.records.find(
      (other) => other.partition === record.partition && other.offset === record.offset,
    );
    same(
      `headers of partition ${record.partition} offset ${record.offset}`,
      wanted && headerText(wanted.headers),
      record.headers,
    );
    record.headers = wanted.headers;
  }
  compare(topic, got, { headersByName: false });
}

async function metadata() {
  const listed = JSON.parse((await kcat(["-L", "-J"])).toString());
  same("broker", spec.bootstrap, listed.brokers[0].name);
  const topic = listed.topics.find((entry) => entry.topic === spec.topics[0].name);
  same("partitions", topic.partitions.length > 0, true);
  that(
    topic.partitions.every((partition) => partition.leader === listed.brokers[0].id && partition.isrs.length === 1),
    "leader and in-sync replicas",
  );
  const text = (await kcat(["-L", "-t", spec.topics[0].name])).toString();
  that(text.includes(`topic "${spec.topics[0].name}" with`), "the topic in the text");
}

const lines = (from, to) => Array.from({ length: to - from }, (_, i) => `key ${from + i}:value ${from + i}`).join("\n");

async function delimited() {
  const topic = `kcat-lines${spec.tag}`;
  await kcat(["-P", "-t", topic, "-K:", "-z", "lz4", "-X", "enable.idempotence=true"], `${lines(0, 100)}\n`);
  const got = parsed(await kcat(["-C", "-t", topic, "-e", "-q", "-f", format]));
  same("records", lines(0, 100), got.map((record) => `${record.key}:${record.value}`).join("\n"));
  const tail = parsed(await kcat(["-C", "-t", topic, "-p", "0", "-o", "-3", "-e", "-q", "-f", format]));
  same("last three", [97, 98, 99], tail.map((record) => record.offset)); // biome-ignore format: one line
  const middle = parsed(await kcat(["-C", "-t", topic, "-p", "0", "-o", "40", "-c", "5", "-q", "-f", format]));
  same("five from 40", [40, 41, 42, 43, 44], middle.map((record) => record.offset)); // biome-ignore format: one line
}

async function acks() {
  for (const level of ["0", "1", "-1"]) {
    const topic = `kcat-acks-${level}${spec.tag}`;
    await kcat(["-P", "-t", topic, "-X", `acks=${level}`], `${lines(0, 50)}\n`);
    await eventually(async () =>
      same("records", lines(0, 50), (await kcat(["-C", "-t", topic, "-e", "-q"])).toString().trim()),
    );
  }
}

async function offsetsByTime() {
  const [name] = [`kcat-lines${spec.tag}`];
  const all = parsed(await kcat(["-C", "-t", name, "-e", "-q", "-f", format]));
  const first = (await kcat(["-Q", "-t", `${name}:0:${all[0].timestamp}`])).toString();
  that(first.includes("offset 0"), `the offset of the first timestamp: ${first}`);
  const later = parsed(
    await kcat([
      "-C",
      "-t",
      name,
      "-p",
      "0",
      "-o",
      `s@${all[0].timestamp}`,
      "-o",
      `e@${all.at(-1).timestamp + 1}`,
      "-e",
      "-q",
      "-f",
      format,
    ]),
  );
  same("records between two timestamps", 100, later.length);
}

async function bigRecord() {
  const topic = `kcat-big${spec.tag}`;
  const file = join(folder, "big");
  const value = pattern(mebibyte - 200);
  writeFileSync(file, value);
  await kcat(["-P", "-t", topic, "-p", "0", file]);
  const got = parsed(await kcat(["-C", "-t", topic, "-p", "0", "-o", "-1", "-e", "-q", "-f", format]));
  same("value", value, got.at(-1).value);
}

async function tooLarge() {
  const file = join(folder, "larger");
  writeFileSync(file, pattern(mebibyte + 200));
  const error = await kcat(["-P", "-t", `kcat-lines${spec.tag}`, "-p", "0", file]).catch((failure) => failure);
  that(
    error instanceof Error && /Message size too large/i.test(error.message),
    `expected "Message size too large": ${error.message ?? "it succeeded"}`,
  );
}

async function group() {
  const topic = `kcat-lines${spec.tag}`;
  const name = `kcat-group${spec.tag}`;
  const out = await kcat(["-G", name, "-e", "-q", "-X", "auto.offset.reset=earliest", "-f", "%s\n", topic]);
  same("records", 100, out.toString().trim().split("\n").length);
  const again = await kcat(["-G", name, "-e", "-q", "-X", "auto.offset.reset=earliest", "-f", "%s\n", topic]);
  same("records after the commit", "", again.toString());
}

if (phase === "check") for (const topic of spec.topics) await check(`write ${topic.name}`, () => write(topic));
for (const topic of spec.topics) await check(`read ${topic.name}`, () => read(topic));
if (phase === "check") {
  await check("metadata", metadata);
  await check("keys and values by line, offsets", delimited);
  await check("acks", acks);
  await check("offsets by time", offsetsByTime);
  await check("record of nearly 1 MiB", bigRecord);
  await check("record too large", tooLarge);
  await check("consumer group", group);
}
rmSync(folder, { recursive: true, force: true });
done();
