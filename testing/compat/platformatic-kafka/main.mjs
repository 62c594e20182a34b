// @platformatic/kafka: producer, stream consumer (classic and consumer group protocol), admin.  main.mjs check|read SPECIFICATION
import { Admin, Consumer, Producer } from "@platformatic/kafka";
import {
  check,
  compare,
  done,
  eventually,
  fails,
  load,
  pattern,
  requests,
  same,
  sleep,
  that,
  within,
} from "./checks.mjs";

const mebibyte = 1 << 20;
const start = 1_700_000_000_000;
const { phase, spec } = load();
const base = {
  clientId: "compat",
  bootstrapBrokers: [spec.bootstrap],
  retries: 8,
  retryDelay: 100,
  metadataMaxAge: 500,
};
const admin = new Admin(base);
const producer = new Producer(base);
let groups = 0;

async function create(topic, partitions, configs = []) {
  await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs });
  await eventually(() =>
    admin.listOffsets({
      topics: [
        {
          name: topic,
          partitions: Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1n })),
        },
      ],
    }),
  );
}

/** All codes of the errors that an error holds. */
function codes(error) {
  const nested = [...(error.errors ?? []), ...(error.cause === undefined ? [] : [error.cause])];
  return [error.apiId, error.code, ...nested.flatMap(codes)].filter((code) => code !== undefined);
}

async function write(topic) {
  await create(topic.name, topic.partitions);
  for (const group of requests(topic.records)) {
    const messages = group.map(({ partition, timestamp, key, value, headers }) => ({
      topic: topic.name,
      partition,
      timestamp: BigInt(timestamp),
      key: key ?? undefined,
      value: value ?? undefined,
      // Keys of a map are compared by identity, so that a name can stand twice.
      headers: new Map(headers.map(([name, header]) => [Buffer.from(name), header])),
    }));
    const { offsets } = await producer.send({ messages, acks: -1, compression: topic.codec });
    same("base offset", BigInt(group[0].offset), offsets[0].offset);
  }
}

/** Reads so many records of these topics; what is missing shows when they are compared. */
async function take(topics, count, options = {}) {
  const {
    groupId = `platformatic-${phase}-${process.pid}-${groups++}`,
    mode = "earliest",
    offsets,
    commit = false,
    ...more
  } = options;
  const classic = more.groupProtocol === "consumer" ? {} : { sessionTimeout: 10_000, heartbeatInterval: 500 };
  const consumer = new Consumer({ ...base, groupId, maxWaitTime: 100, ...classic, ...more });
  const stream = await consumer.consume({
    topics,
    mode,
    offsets,
    fallbackMode: "earliest",
    autocommit: false,
    ...classic,
  });
  const got = [];
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 20_000);
    stream.on("error", reject);
    stream.on("data", (message) => {
      if (got.length === count) return;
      got.push(message);
      if (got.length < count) return;
      clearTimeout(timer);
      resolve();
    });
  });
  if (commit) await got.at(-1).commit();
  await consumer.close(true);
  return got.map(({ topic, partition, offset, timestamp, key, value, headerEntries }) => ({
    topic,
    partition,
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: key ?? null,
    value: value ?? null,
    headers: headerEntries.map(([name, header]) => [name.toString(), header ?? null]),
  }));
}

async function readAll(topics) {
  const count = topics.reduce((sum, topic) => sum + topic.records.length, 0);
  const names = topics.map((topic) => topic.name);
  const got = names.length === 0 ? [] : await take(names, count);
  return (topic) => got.filter((record) => record.topic === topic.name);
}

const numbered = (topic, from, to) =>
  Array.from({ length: to - from }, (_, i) => ({
    topic,
    partition: 0,
    value: Buffer.from(`value ${from + i}`),
    timestamp: BigInt(start + (from + i) * 10),
  }));
const values = (records) => records.map((record) => record.value.toString());

async function hundred(topic, options) {
  await create(topic, 1);
  for (let i = 0; i < 100; i += 10) await producer.send({ messages: numbered(topic, i, i + 10), ...options });
}

async function withAcks(acks) {
  const topic = `platformatic-acks-${acks}${spec.tag}`;
  await hundred(topic, { acks });
  same("values", values(numbered(topic, 0, 100)), values(await take([topic], 100)));
}

async function idempotent() {
  const topic = `platformatic-idempotent${spec.tag}`;
  await create(topic, 1);
  const careful = new Producer({ ...base, idempotent: true });
  for (let i = 0; i < 100; i += 10) await careful.send({ messages: numbered(topic, i, i + 10), acks: -1 });
  await careful.close();
  same("values", values(numbered(topic, 0, 100)), values(await take([topic], 100)));
}

async function bigRecord() {
  const topic = `platformatic-big${spec.tag}`;
  await create(topic, 1, [{ name: "max.message.bytes", value: `${2 * mebibyte}` }]);
  const value = pattern(mebibyte);
  await producer.send({ messages: [{ topic, value }], acks: -1 });
  same("value", value, (await take([topic], 1))[0].value);
}

async function tooLarge() {
  const topic = `platformatic-small${spec.tag}`;
  await create(topic, 1, [{ name: "max.message.bytes", value: "1000" }]);
  const error = await fails(() => producer.send({ messages: [{ topic, value: Buffer.alloc(2000) }], acks: -1 }));
  that(codes(error).includes("MESSAGE_TOO_LARGE"), `expected MESSAGE_TOO_LARGE, got ${codes(error)}`);
}

async function seek() {
  const topic = `platformatic-acks--1${spec.tag}`;
  const got = await take([topic], 3, { mode: "manual", offsets: [{ topic, partition: 0, offset: 97n }] });
  same("values", ["value 97", "value 98", "value 99"], values(got));
  for (const [at, want] of [
    [-2, 0n],
    [-1, 100n],
    [start, 0n],
    [start + 335, 34n],
    [start - 1, 0n],
    [start + 991, -1n],
  ]) {
    // biome-ignore format: one line
    const [found] = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: BigInt(at) }] }] });
    same(`offset at ${at}`, want, found.partitions[0].offset);
  }
}

async function waits() {
  const topic = `platformatic-waits${spec.tag}`;
  await create(topic, 1);
  const consumer = new Consumer({ ...base, groupId: `platformatic-waits${spec.tag}`, maxWaitTime: 5000 });
  const stream = await consumer.consume({ topics: [topic], mode: "earliest", autocommit: false });
  const message = new Promise((resolve, reject) => stream.once("data", resolve).once("error", reject));
  await sleep(700);
  await producer.send({ messages: [{ topic, value: Buffer.from("woken") }], acks: -1 });
  same("value", "woken", (await within(3000, "the append wakes the waiting fetch", message)).value.toString());
  await consumer.close(true);
}

async function groupResumes(groupProtocol) {
  const topic = `platformatic-group-${groupProtocol}${spec.tag}`;
  const groupId = `platformatic-group-${groupProtocol}${spec.tag}`;
  await create(topic, 1);
  for (const value of ["one", "two", "three"]) {
    await producer.send({ messages: [{ topic, value: Buffer.from(value) }], acks: -1 });
    const got = await take([topic], 1, { groupId, mode: "committed", commit: true, groupProtocol });
    same("value", value, values(got)[0]);
  }
  const [offsets] = await admin.listConsumerGroupOffsets({ groups: [groupId] });
  same("committed offset", 3n, offsets.topics[0].partitions[0].committedOffset);
  that((await admin.listGroups({ types: ["classic", "consumer"] })).has(groupId), "the group is listed");
}

async function adminTopics() {
  const topic = `platformatic-admin${spec.tag}`;
  await create(topic, 2, [{ name: "retention.ms", value: "7200000" }]);
  const error = await fails(() => admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 }));
  that(codes(error).includes("TOPIC_ALREADY_EXISTS"), `expected TOPIC_ALREADY_EXISTS, got ${codes(error)}`);
  await admin.createPartitions({ topics: [{ name: topic, count: 4, assignments: null }] });
  await eventually(async () =>
    same(
      "partitions",
      4,
      (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitionsCount,
    ),
  );
  const retention = async () =>
    (
      await admin.describeConfigs({
        resources: [{ resourceType: 2, resourceName: topic, configurationKeys: ["retention.ms"] }],
      })
    )[0].configs[0].value;
  same("retention.ms", "7200000", await retention());
  await admin.incrementalAlterConfigs({
    resources: [
      {
        resourceType: 2,
        resourceName: topic,
        configs: [{ name: "retention.ms", configOperation: 0, value: "3000000" }],
      },
    ],
  });
  await eventually(async () => same("retention.ms", "3000000", await retention()));
  await admin.deleteTopics({ topics: [topic] });
  await eventually(async () => that(!(await admin.listTopics()).includes(topic), "the topic is gone"));
}

async function deleteRecords() {
  const topic = `platformatic-acks-1${spec.tag}`;
  const [deleted] = await admin.deleteRecords({
    topics: [{ name: topic, partitions: [{ partition: 0, offset: 20n }] }],
  });
  same("low watermark", 20n, deleted.partitions[0].lowWatermark);
  same("first offset", 20, (await take([topic], 1))[0].offset);
}

async function logDirs() {
  const topic = `platformatic-acks-1${spec.tag}`;
  const [broker] = await admin.describeLogDirs({ topics: [{ name: topic, partitions: [0] }] });
  that(broker.results[0].topics[0].partitions[0].partitionSize > 0n, "the partition has a size");
}

if (phase === "check") for (const topic of spec.topics) await check(`write ${topic.name}`, () => write(topic));
let of = () => [];
await check("read by one group", async () => {
  of = await readAll(spec.topics);
});
for (const topic of spec.topics)
  await check(`read ${topic.name}`, async () => compare(topic, of(topic), { headersByName: false }));
if (phase === "check") {
  for (const acks of [0, 1, -1]) await check(`acks ${acks}`, () => withAcks(acks));
  await check("idempotent producer", idempotent);
  await check("1 MiB record", bigRecord);
  await check("record too large", tooLarge);
  await check("seek and offsets by time", seek);
  await check("waits for new records", waits);
  await check("consumer group resumes, classic", () => groupResumes("classic"));
  await check("consumer group resumes, consumer protocol", () => groupResumes("consumer"));
  await check("admin topics and configs", adminTopics);
  await check("admin delete records", deleteRecords);
  await check("admin log dirs", logDirs);
}
await producer.close();
await admin.close();
done();
