// The measures of one broker: what the project promises against Apache Kafka on the same two cores, in the order that fills and then reads.
import { createTopic, deleteTopic, fetch, type ProduceLoad, paced, produce } from "./load/drive.ts";
import type { Measure } from "./measure.ts";
import { cpuSeconds, openFileCount, residentMegabytes } from "./process-figures.ts";
import type { Subject } from "./subject.ts";

const gigabyte = 1e9;
const shape = { partitionCount: 4, connectionCount: 4, inFlight: 5, acks: 1 };

export type Sizes = { readonly bytes: number; readonly warmUpSeconds: number; readonly latencySeconds: number };

let topicNumber = 0;

/** A fresh topic for the time of `work`, deleted afterwards so that the next measure finds the page cache free. */
async function withTopic<T>(subject: Subject, partitionCount: number, work: (topic: string) => Promise<T>): Promise<T> {
  const topic = `bench-${topicNumber++}`;
  await createTopic(subject.target, topic, partitionCount);
  try {
    return await work(topic);
  } finally {
    await deleteTopic(subject.target, topic);
    await new Promise((wake) => setTimeout(wake, 500));
  }
}

async function cpuOf<T>(subject: Subject, work: () => Promise<T>): Promise<{ done: T; cpu: number }> {
  const before = cpuSeconds(subject.broker.pid);
  const done = await work();
  return { done, cpu: cpuSeconds(subject.broker.pid) - before };
}

function produceMeasure(
  name: string,
  title: string,
  batchBytes: number,
  recordBytes: number,
  ratio: number,
  sizes: Sizes,
): Measure {
  return {
    name,
    title,
    figures: [
      { name: "throughput", unit: "MB/s", better: "higher", ratio },
      { name: "records", unit: "M/s", better: "higher" },
      { name: "broker CPU", unit: "s/GB", better: "lower", ratio: 0.4 },
    ],
    run: (subject) =>
      withTopic(subject, shape.partitionCount, async (topic) => {
        const load: ProduceLoad = { ...shape, topic, batchBytes, recordBytes, bytesMax: sizes.bytes, secondsMax: 60 };
        await produce(subject.target, { ...load, bytesMax: sizes.bytes / 4, secondsMax: sizes.warmUpSeconds });
        const { done, cpu } = await cpuOf(subject, () => produce(subject.target, load));
        return [done.bytes / 1e6 / done.seconds, done.records / 1e6 / done.seconds, cpu / (done.bytes / gigabyte)];
      }),
  };
}

function produceSingle(sizes: Sizes): Measure {
  return {
    name: "produce-single",
    title: "produce, one 100 B record a request",
    figures: [
      { name: "requests", unit: "/s", better: "higher", ratio: 4 },
      { name: "broker CPU", unit: "µs/request", better: "lower" },
    ],
    run: (subject) =>
      withTopic(subject, shape.partitionCount, async (topic) => {
        const load: ProduceLoad = {
          ...shape,
          topic,
          batchBytes: 0,
          recordBytes: 100,
          bytesMax: Number.POSITIVE_INFINITY,
          secondsMax: 5,
        };
        await produce(subject.target, { ...load, secondsMax: sizes.warmUpSeconds });
        const { done, cpu } = await cpuOf(subject, () => produce(subject.target, load));
        return [done.requests / done.seconds, (cpu / done.requests) * 1e6];
      }),
  };
}

function fetchMeasure(sizes: Sizes): Measure {
  return {
    name: "fetch",
    title: "fetch, 1 MiB answers of 64 KiB batches",
    figures: [
      { name: "throughput", unit: "MB/s", better: "higher", ratio: 1.5 },
      { name: "broker CPU", unit: "s/GB", better: "lower", ratio: 1 },
    ],
    run: (subject) =>
      withTopic(subject, 2, async (topic) => {
        const batches = { topic, partitionCount: 2, batchBytes: 65_536, recordBytes: 100 };
        await produce(subject.target, {
          ...shape,
          ...batches,
          connectionCount: 2,
          bytesMax: sizes.bytes / 2,
          secondsMax: 60,
        });
        const load = {
          ...batches,
          connectionCount: 2,
          responseBytesMax: 1024 * 1024,
          bytesMax: sizes.bytes * 4,
          secondsMax: 60,
        };
        await fetch(subject.target, { ...load, bytesMax: sizes.bytes, secondsMax: sizes.warmUpSeconds });
        const { done, cpu } = await cpuOf(subject, () => fetch(subject.target, load));
        return [done.bytes / 1e6 / done.seconds, cpu / (done.bytes / gigabyte)];
      }),
  };
}

function latency(sizes: Sizes): Measure {
  return {
    name: "latency",
    title: "acknowledgement at 1,000 requests/s, 100 B each, acks=all",
    figures: [
      { name: "p50", unit: "ms", better: "lower" },
      { name: "p99", unit: "ms", better: "lower", ratio: 0.5 },
    ],
    run: (subject) =>
      withTopic(subject, 1, async (topic) => {
        const load = { topic, partitionCount: 1, recordBytes: 100, ratePerSecond: 1000, acks: -1 };
        await paced(subject.target, { ...load, seconds: sizes.warmUpSeconds });
        const done = await paced(subject.target, { ...load, seconds: sizes.latencySeconds });
        return [done.p50Ms, done.p99Ms];
      }),
  };
}

/** 4 GB in and out again, then the memory that stays. Comes after the others and before the partitions. */
function memoryAfterWork(): Measure {
  return {
    name: "memory",
    title: "memory after 4 GB were produced and read",
    figures: [{ name: "RSS", unit: "MB", better: "lower", bound: 200 }],
    run: (subject) =>
      withTopic(subject, shape.partitionCount, async (topic) => {
        const batches = { ...shape, topic, batchBytes: 65_536, recordBytes: 100 };
        await produce(subject.target, { ...batches, bytesMax: 4 * gigabyte, secondsMax: 120 });
        await fetch(subject.target, {
          ...batches,
          responseBytesMax: 1024 * 1024,
          bytesMax: 4 * gigabyte,
          secondsMax: 120,
        });
        return [residentMegabytes(subject.broker.pid)];
      }),
  };
}

/** Last, since its 10,000 partitions stay. */
function manyPartitions(): Measure {
  return {
    name: "partitions",
    title: "10,000 partitions created, in ten topics",
    figures: [
      { name: "created in", unit: "s", better: "lower", bound: 5 },
      { name: "RSS", unit: "MB", better: "lower", bound: 300 },
      { name: "open files", unit: "", better: "lower", bound: 1000 },
    ],
    async run(subject) {
      const startedMs = performance.now();
      // Ten topics: Kafka refuses an operation of more than 10,000 metadata records, which a topic with 10,000 partitions is.
      for (let i = 0; i < 10; i++) await createTopic(subject.target, `bench-many-${topicNumber++}`, 1000);
      const seconds = (performance.now() - startedMs) / 1000;
      return [seconds, residentMegabytes(subject.broker.pid), openFileCount(subject.broker.pid)];
    },
  };
}

export function brokerMeasures(sizes: Sizes): Measure[] {
  return [
    produceMeasure("produce-64k", "produce, 64 KiB batches of 100 B records", 65_536, 100, 3, sizes),
    produceMeasure("produce-16k", "produce, 16 KiB batches of 1 KiB records", 16_384, 1024, 2, sizes),
    produceSingle(sizes),
    fetchMeasure(sizes),
    latency(sizes),
    memoryAfterWork(),
    manyPartitions(),
  ];
}

/** Measured once a subject, in the order given. */
export const measuredOnce = new Set(["memory", "partitions"]);
