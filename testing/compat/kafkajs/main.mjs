// kafkajs: producer, group consumer with seeks, admin.  main.mjs check|read SPECIFICATION
import { Decoder, Encoder } from "@toondepauw/node-zstd";
import kafkajs from "kafkajs";
import SnappyCodec from "kafkajs-snappy";
import lz4 from "lz4-napi";
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

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs;
CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4.compressFrameSync(encoder.buffer),
  decompress: async (bytes) => lz4.decompressFrameSync(bytes),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => new Encoder(3).encodeSync(encoder.buffer),
  decompress: async (bytes) => new Decoder().decodeSync(bytes),
});

const types = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};
const mebibyte = 1 << 20;
const start = 1_700_000_000_000;

const { phase, spec } = load();
const kafka = new Kafka({
  clientId: "compat",
  brokers: [spec.bootstrap],
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, retries: 8 },
});
const admin = kafka.admin();
const producer = kafka.producer({ allowAutoTopicCreation: false });
let groups = 0;

async function create(topic, numPartitions, configEntries = []) {
  await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }],
  });
  await eventually(() => admin.fetchTopicOffsets(topic));
}

async function write(topic) {
  await create(topic.name, topic.partitions);
  for (const group of requests(topic.records)) {
    const messages = group.map(({ partition, timestamp, key, value, headers }) => {
      const object = {};
      for (const [name, header] of headers) object[name] = [...(object[name] ?? []), header];
      return { partition, timestamp: `${timestamp}`, key, value, headers: object };
    });
    const [answer] = await producer.send({ topic: topic.name, compression: types[topic.codec], messages });
    same("base offset", `${group[0].offset}`, answer.baseOffset);
  }
}

/** Reads so many records of these topics by a new group from the earliest offset; what is missing shows when they are compared. */
async function take(topics, count, options = {}) {
  const consumer = kafka.consumer({
    groupId: options.groupId ?? `kafkajs-${phase}-${process.pid}-${groups++}`,
    maxWaitTimeInMs: 100,
    sessionTimeout: 10_000,
    ...options,
  });
  const got = [];
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 20_000);
    const eachMessage = async ({ topic, partition, message }) => {
      got.push({
        topic,
        partition,
        offset: Number(message.offset),
        timestamp: Number(message.timestamp),
        key: message.key,
        value: message.value,
        headers: entries(message.headers),
      });
      if (got.length === count) {
        clearTimeout(timer);
        resolve();
      }
    };
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({ eachMessage }).catch(reject);
    options.onRun?.(consumer);
  });
  await consumer.disconnect();
  return got.slice(0, count);
}

const entries = (headers) =>
  Object.entries(headers ?? {}).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map((value) => [name, value]),
  );

async function readAll(topics) {
  const count = topics.reduce((sum, topic) => sum + topic.records.length, 0);
  const names = topics.map((topic) => topic.name);
  const got = names.length === 0 ? [] : await take(names, count);
  return (topic) => got.filter((record) => record.topic === topic.name);
}

const numbered = (n) =>
  Array.from({ length: n }, (_, i) => ({ key: `key ${i}`, value: `value ${i}`, timestamp: `${start + i * 10}` }));
const values = (records) => records.map((record) => record.value.toString());

async function withAcks(acks) {
  const topic = `kafkajs-acks-${acks}${spec.tag}`;
  await create(topic, 1);
  for (let i = 0; i < 100; i += 10) await producer.send({ topic, acks, messages: numbered(100).slice(i, i + 10) });
  const got = await take([topic], 100);
  same("values", numbered(100).map((m) => m.value), values(got)); // biome-ignore format: one line
}

async function idempotent() {
  const topic = `kafkajs-idempotent${spec.tag}`;
  await create(topic, 1);
  const careful = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await careful.connect();
  for (let i = 0; i < 100; i += 10) await careful.send({ topic, messages: numbered(100).slice(i, i + 10) });
  await careful.disconnect();
  same("values", numbered(100).map((m) => m.value), values(await take([topic], 100))); // biome-ignore format: one line
}

async function bigRecord() {
  const topic = `kafkajs-big${spec.tag}`;
  await create(topic, 1, [{ name: "max.message.bytes", value: `${2 * mebibyte}` }]);
  const value = pattern(mebibyte);
  await producer.send({ topic, messages: [{ value }] });
  same("value", value, (await take([topic], 1))[0].value);
}

async function tooLarge() {
  const topic = `kafkajs-small${spec.tag}`;
  await create(topic, 1, [{ name: "max.message.bytes", value: "1000" }]);
  const error = await fails(() => producer.send({ topic, messages: [{ value: Buffer.alloc(2000) }] }));
  same("error", "MESSAGE_TOO_LARGE", error.type ?? error.cause?.type);
}

async function groupResumes() {
  const topic = `kafkajs-group${spec.tag}`;
  const groupId = `kafkajs-group${spec.tag}`;
  await create(topic, 1);
  for (const value of ["one", "two", "three"]) {
    await producer.send({ topic, messages: [{ value }] });
    // The group has committed what it read before, so that it goes on behind it.
    same("value", value, (await take([topic], 1, { groupId }))[0].value.toString());
  }
  const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
  same("committed offset", "3", committed.partitions[0].offset);
  const { groups: described } = await admin.describeGroups([groupId]);
  same("state", "Empty", described[0].state);
  await admin.deleteGroups([groupId]);
}

async function twoMembers() {
  const topic = `kafkajs-members${spec.tag}`;
  const groupId = `kafkajs-members${spec.tag}`;
  await create(topic, 4);
  const seen = [new Map(), new Map()];
  const members = seen.map(() =>
    kafka.consumer({ groupId, maxWaitTimeInMs: 100, sessionTimeout: 10_000, heartbeatInterval: 300 }),
  );
  for (const [i, member] of members.entries()) {
    await member.connect();
    await member.subscribe({ topic, fromBeginning: true });
    await member.run({
      eachMessage: async ({ partition, message }) => void seen[i].set(`${partition}/${message.value}`, true),
    });
  }
  await eventually(async () => {
    const { groups: described } = await admin.describeGroups([groupId]);
    same("members", 2, described[0].members.length);
    same("state", "Stable", described[0].state);
  });
  await producer.send({ topic, messages: Array.from({ length: 40 }, (_, i) => ({ value: `${i}`, partition: i % 4 })) });
  await eventually(async () => same("records", 40, seen[0].size + seen[1].size));
  for (const [i, member] of members.entries()) {
    that(seen[i].size === 20, `each member reads two partitions: member ${i} read ${seen[i].size} records`);
    await member.disconnect();
  }
}

async function seek() {
  const topic = `kafkajs-seek${spec.tag}`;
  await create(topic, 1);
  await producer.send({ topic, messages: numbered(100) });
  const got = await take([topic], 3, { onRun: (consumer) => consumer.seek({ topic, partition: 0, offset: "97" }) });
  same("values", ["value 97", "value 98", "value 99"], values(got));
  const [offsets] = await admin.fetchTopicOffsets(topic);
  same("low and high", ["0", "100"], [offsets.low, offsets.high]);
  for (const [at, want] of [
    [start, "0"],
    [start + 335, "34"],
    [start - 1, "0"],
    [start + 990, "99"],
    [start + 991, "100"],
  ]) {
    // biome-ignore format: one line
    const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, at);
    same(`offset at ${at - start}`, want, found.offset);
  }
}

async function waits() {
  const topic = `kafkajs-waits${spec.tag}`;
  await create(topic, 1);
  const reading = take([topic], 1, { maxWaitTimeInMs: 5000 });
  reading.catch(() => {});
  await sleep(1500);
  await producer.send({ topic, messages: [{ value: "woken" }] });
  const started = performance.now();
  same("value", "woken", (await within(8000, "the record", reading))[0].value.toString());
  // Stopping the consumer waits for one more fetch, so only a bound for both can be held.
  that(performance.now() - started < 7500, "the append wakes the waiting fetch");
}

async function adminTopics() {
  const topic = `kafkajs-admin${spec.tag}`;
  await create(topic, 2, [{ name: "retention.ms", value: "7200000" }]);
  same("created again", false, await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }));
  await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] });
  await eventually(async () =>
    same("partitions", 4, (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length),
  );
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic };
  const retention = async () =>
    (await admin.describeConfigs({ resources: [{ ...resource, configNames: ["retention.ms"] }] })).resources[0]
      .configEntries[0].configValue;
  same("retention.ms", "7200000", await retention());
  await admin.alterConfigs({
    resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "3000000" }] }],
  });
  await eventually(async () => same("retention.ms", "3000000", await retention()));
  await admin.deleteTopics({ topics: [topic] });
  await eventually(async () => that(!(await admin.listTopics()).includes(topic), "the topic is gone"));
}

async function deleteRecords() {
  const topic = `kafkajs-seek${spec.tag}`;
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "20" }] });
  same("low", "20", (await admin.fetchTopicOffsets(topic))[0].low);
}

async function cluster() {
  const { brokers, clusterId } = await admin.describeCluster();
  same("address", spec.bootstrap, `${brokers[0].host}:${brokers[0].port}`);
  same("length of the cluster id", 22, clusterId.length);
}

await admin.connect();
await producer.connect();
if (phase === "check") for (const topic of spec.topics) await check(`write ${topic.name}`, () => write(topic));
let of = () => [];
await check("read by one group", async () => {
  of = await readAll(spec.topics);
});
for (const topic of spec.topics)
  await check(`read ${topic.name}`, async () => compare(topic, of(topic), { headersByName: true }));
if (phase === "check") {
  for (const acks of [0, 1, -1]) await check(`acks ${acks}`, () => withAcks(acks));
  await check("idempotent producer", idempotent);
  await check("1 MiB record", bigRecord);
  await check("record too large", tooLarge);
  await check("consumer group resumes", groupResumes);
  await check("consumer group of two members", twoMembers);
  await check("seek and offsets by time", seek);
  await check("waits for new records", waits);
  await check("admin topics and configs", adminTopics);
  await check("admin delete records", deleteRecords);
  await check("admin cluster", cluster);
}
await producer.disconnect();
await admin.disconnect();
done();
