// The measures of the coordinators: groups of both protocols, offsets, transactions, share groups. They run on a broker of their own, whose
// delays are off on both sides: what is measured is the coordinator, not how long it was told to wait.
import { createTopic, produce } from "./load/drive.ts";
import {
  commitOffsets,
  coordinatorReady,
  fillOffsets,
  idleGroups,
  offsetsLoaded,
  rebalanceClassic,
  rebalanceConsumer,
} from "./load/groups.ts";
import { shareWork, startFromEarliest } from "./load/share.ts";
import { transact } from "./load/transactions.ts";
import type { Measure } from "./measure.ts";
import { cpuSeconds, residentMegabytes } from "./process-figures.ts";
import type { Subject } from "./subject.ts";

export const coordinatorProperties = {
  "group.initial.rebalance.delay.ms": 0,
  "group.consumer.assignment.interval.ms": 0,
  "group.share.assignment.interval.ms": 0,
  "group.consumer.max.size": 1000,
  "group.share.record.lock.duration.ms": 30_000,
};

export type CoordinatorSizes = {
  readonly seconds: number;
  readonly memberCount: number;
  readonly groupCount: number;
  readonly offsetCount: number;
  readonly shareRecordCount: number;
};

let names = 0;
const named = (what: string): string => `bench-${what}-${names++}`;
const settle = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms));

async function cpuPer<T extends number>(
  subject: Subject,
  work: () => Promise<T>,
  seconds: number,
): Promise<[T, number]> {
  const before = cpuSeconds(subject.broker.pid);
  const rate = await work();
  return [rate, ((cpuSeconds(subject.broker.pid) - before) / (rate * seconds)) * 1e6];
}

function idle(sizes: CoordinatorSizes): Measure {
  return {
    name: "idle-groups",
    title: `${sizes.groupCount} idle groups of one member, and as many with an offset`,
    figures: [{ name: "RSS added", unit: "MB", better: "lower", bound: 100 }],
    async run(subject) {
      const topic = named("idle");
      await createTopic(subject.target, topic, 1);
      await coordinatorReady(subject.target, "bench-idle-0");
      // Compiled and warm, so that what is added is the groups and not the program.
      await commitOffsets(subject.target, { topic, partitionCount: 1, connectionCount: 4, inFlight: 5, seconds: 3 });
      await settle(3000);
      const before = residentMegabytes(subject.broker.pid);
      await idleGroups(subject.target, topic, sizes.groupCount);
      await settle(5000);
      return [residentMegabytes(subject.broker.pid) - before];
    },
  };
}

function offsetCommit(sizes: CoordinatorSizes): Measure {
  return {
    name: "offset-commit",
    title: "OffsetCommit, one partition a request",
    figures: [
      { name: "requests", unit: "/s", better: "higher", ratio: 2 },
      { name: "broker CPU", unit: "µs/request", better: "lower" },
    ],
    async run(subject) {
      const topic = named("commit");
      await createTopic(subject.target, topic, 10);
      await coordinatorReady(subject.target, "bench-commit-0-0");
      const load = { topic, partitionCount: 10, connectionCount: 8, inFlight: 5 };
      await commitOffsets(subject.target, { ...load, seconds: sizes.seconds });
      const { seconds } = sizes;
      return cpuPer(subject, () => commitOffsets(subject.target, { ...load, seconds }), seconds);
    },
  };
}

function classic(sizes: CoordinatorSizes): Measure {
  return {
    name: "rebalance-classic",
    title: `a rebalance of ${sizes.memberCount} members, classic protocol`,
    figures: [{ name: "stable after", unit: "ms", better: "lower", ratio: 0.5 }],
    async run(subject) {
      const group = named("classic");
      await coordinatorReady(subject.target, group);
      return [await rebalanceClassic(subject.target, group, sizes.memberCount, 10)];
    },
  };
}

function consumer(sizes: CoordinatorSizes): Measure {
  return {
    name: "rebalance-consumer",
    title: `${sizes.memberCount} members join at once, consumer protocol`,
    figures: [{ name: "stable after", unit: "ms", better: "lower", ratio: 0.5 }],
    async run(subject) {
      const [topic, group] = [named("consumer"), named("consumer")];
      const partitionCount = sizes.memberCount * 2;
      await createTopic(subject.target, topic, partitionCount);
      await coordinatorReady(subject.target, group);
      // The partitions' files are made meanwhile; they are another measure's.
      await settle(4000);
      return [await rebalanceConsumer(subject.target, group, topic, sizes.memberCount, partitionCount)];
    },
  };
}

function transactions(sizes: CoordinatorSizes): Measure {
  return {
    name: "transactions",
    title: "transactions of ten records, 16 producers",
    figures: [
      { name: "transactions", unit: "/s", better: "higher", ratio: 2 },
      { name: "broker CPU", unit: "µs each", better: "lower" },
    ],
    async run(subject) {
      const topic = named("transactions");
      await createTopic(subject.target, topic, 4);
      const load = { topic, partitionCount: 4, producerCount: 16, recordCount: 10 };
      await transact(subject.target, { ...load, seconds: sizes.seconds });
      return cpuPer(subject, () => transact(subject.target, { ...load, seconds: sizes.seconds }), sizes.seconds);
    },
  };
}

function share(sizes: CoordinatorSizes): Measure {
  return {
    name: "share-group",
    title: "a share group of 8 members, each record acknowledged",
    figures: [{ name: "records", unit: "/s", better: "higher", ratio: 2 }],
    async run(subject) {
      const topic = named("share");
      const partitionCount = 4;
      await createTopic(subject.target, topic, partitionCount);
      const recordBytes = 100;
      // Batches as a producer makes them that waits a little; about a hundred records each.
      const batchBytes = 11_000;
      await produce(subject.target, {
        topic,
        partitionCount,
        batchBytes,
        recordBytes,
        connectionCount: 4,
        inFlight: 5,
        acks: 1,
        bytesMax: sizes.shareRecordCount * (recordBytes + 10) * 2,
        secondsMax: 60,
      });
      const work = async (recordsMax: number): Promise<number> => {
        const group = named("share");
        await coordinatorReady(subject.target, group);
        await startFromEarliest(subject.target, group);
        return shareWork(subject.target, { topic, group, memberCount: 8, recordsMax, secondsMax: sizes.seconds * 2 });
      };
      await work(sizes.shareRecordCount / 4);
      return [await work(sizes.shareRecordCount)];
    },
  };
}

/** Last: it stops the broker and starts it again. */
function load(sizes: CoordinatorSizes): Measure {
  return {
    name: "load-offsets",
    title: `${sizes.offsetCount} committed offsets are loaded at start`,
    figures: [
      { name: "ready to loaded", unit: "s", better: "lower", bound: 2 },
      { name: "start to loaded", unit: "s", better: "lower" },
    ],
    async run(subject) {
      const topic = "bench-load";
      const partitionCount = 100;
      const groupCount = sizes.offsetCount / partitionCount;
      await createTopic(subject.target, topic, partitionCount);
      await coordinatorReady(subject.target, "bench-load-0");
      await fillOffsets(subject.target, topic, groupCount, partitionCount);
      await settle(1000);
      const startedMs = await subject.restart();
      const readySeconds = (performance.now() - startedMs) / 1000;
      await offsetsLoaded(subject.target, Math.min(groupCount, 64));
      const loadedSeconds = (performance.now() - startedMs) / 1000;
      return [loadedSeconds - readySeconds, loadedSeconds];
    },
  };
}

export function coordinatorMeasures(sizes: CoordinatorSizes): Measure[] {
  return [
    idle(sizes),
    offsetCommit(sizes),
    classic(sizes),
    consumer(sizes),
    transactions(sizes),
    share(sizes),
    load(sizes),
  ];
}

/** Measured once a subject, in the order given. */
export const coordinatorsMeasuredOnce = new Set(["idle-groups", "load-offsets"]);
