// The loads: produce, fetch and paced single requests over raw connections. Each returns what was done and in how many seconds; the caller
// reads the broker's CPU beside it.
import {
  createTopicFrame,
  deleteTopicFrame,
  fetchFrame,
  produceErrorAt,
  produceFrame,
  readFetchAnswer,
  readyBatch,
  setCorrelationId,
  setFetchOffset,
  topicErrorAt,
} from "./frames.ts";
import { RawConnection } from "./raw-connection.ts";

export type Target = { readonly host: string; readonly port: number };
export type Done = {
  readonly bytes: number;
  readonly requests: number;
  readonly records: number;
  readonly seconds: number;
};

const stallMsMax = 60_000;

/** Rejects when `progress` stands still for a minute or a connection has ended: a benchmark must not hang. */
function whileProgress<T>(work: Promise<T>, connections: readonly RawConnection[], progress: () => number): Promise<T> {
  let last = -1;
  let lastMs = performance.now();
  return new Promise((resolve, reject) => {
    const watch = setInterval(() => {
      const ended = connections.map((each) => each.ended).find((each) => each !== null);
      if (progress() !== last) {
        last = progress();
        lastMs = performance.now();
      }
      if (ended) reject(ended);
      else if (performance.now() - lastMs > stallMsMax) reject(new Error(`no answer for ${stallMsMax / 1000} s`));
    }, 250);
    work.then(resolve, reject).finally(() => clearInterval(watch));
  });
}

async function once(target: Target, frame: Buffer): Promise<Buffer> {
  const connection = await RawConnection.open(target.host, target.port);
  try {
    let answered = 0;
    const answer = new Promise<Buffer>((resolve) => {
      connection.onResponse = (head) => {
        answered++;
        resolve(Buffer.from(head));
      };
    });
    connection.send(frame);
    return await whileProgress(answer, [connection], () => answered);
  } finally {
    connection.close();
  }
}

const leaderNotThere = new Set([3, 5, 6]);

export async function createTopic(
  target: Target,
  topic: string,
  partitionCount: number,
  configs: Record<string, string> = {},
): Promise<void> {
  const error = (await once(target, createTopicFrame(topic, partitionCount, configs))).readInt16BE(topicErrorAt(topic));
  if (error !== 0) throw new Error(`creating ${topic}: error ${error}`);
  // The answer to a fetch tells when the broker has taken a partition over; of very many the first and the last speak for the others.
  const watched =
    partitionCount <= watchedPartitionCountMax ? [...Array(partitionCount).keys()] : [0, partitionCount - 1];
  for (const partition of watched) await untilLed(target, topic, partition);
}

const watchedPartitionCountMax = 16;

async function untilLed(target: Target, topic: string, partition: number): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const { error } = readFetchAnswer(await once(target, fetchFrameNow(topic, partition)), topic);
    if (error === 0) return;
    if (!leaderNotThere.has(error)) throw new Error(`fetching from ${topic}-${partition}: error ${error}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
  throw new Error(`${topic}-${partition} has no leader`);
}

function fetchFrameNow(topic: string, partition: number): Buffer {
  const frame = fetchFrame(topic, partition, 1);
  frame.writeInt32BE(0, 4 + 2 + 2 + 4 + 2 + 5 + 4); // max wait
  return frame;
}

export async function deleteTopic(target: Target, topic: string): Promise<void> {
  const error = (await once(target, deleteTopicFrame(topic))).readInt16BE(topicErrorAt(topic));
  if (error !== 0) throw new Error(`deleting ${topic}: error ${error}`);
}

export type ProduceLoad = {
  readonly topic: string;
  readonly partitionCount: number;
  readonly batchBytes: number;
  readonly recordBytes: number;
  readonly connectionCount: number;
  readonly inFlight: number;
  readonly acks: number;
  /** Stops after this many bytes of batches or this many seconds, whichever comes first. */
  readonly bytesMax: number;
  readonly secondsMax: number;
};

/** Keeps `inFlight` produce requests of one ready-made batch under way on each connection; partition = connection modulo partitions. */
export async function produce(target: Target, load: ProduceLoad): Promise<Done> {
  const batch = readyBatch(load.batchBytes, load.recordBytes);
  const errorAt = produceErrorAt(load.topic);
  const connections = await openAll(target, load.connectionCount);
  let sent = 0;
  let answered = 0;
  let stopping = false;
  const requestsMax = Math.ceil(load.bytesMax / batch.bytes.length);
  const startedMs = performance.now();
  const work = Promise.all(
    connections.map(
      (connection, index) =>
        new Promise<void>((resolve, reject) => {
          // One frame more than can be under way, so that no frame is patched while the socket may still read it.
          const frames = Array.from({ length: load.inFlight + 1 }, () =>
            produceFrame(load.topic, index % load.partitionCount, batch.bytes, load.acks),
          );
          let next = 0;
          let underWay = 0;
          const fill = (): void => {
            while (underWay < load.inFlight && !stopping && sent < requestsMax) {
              const frame = frames[next % frames.length]!;
              setCorrelationId(frame, next++);
              connection.send(frame);
              underWay++;
              sent++;
            }
            if (underWay === 0) resolve();
          };
          connection.onResponse = (head) => {
            const error = head.readInt16BE(errorAt);
            if (error !== 0) return reject(new Error(`produce: error ${error}`));
            underWay--;
            answered++;
            if ((answered & 63) === 0 && performance.now() - startedMs > load.secondsMax * 1000) stopping = true;
            fill();
          };
          fill();
        }),
    ),
  );
  await whileProgress(work, connections, () => answered);
  const seconds = (performance.now() - startedMs) / 1000;
  for (const connection of connections) connection.close();
  return { bytes: answered * batch.bytes.length, requests: answered, records: answered * batch.recordCount, seconds };
}

export type FetchLoad = {
  readonly topic: string;
  readonly partitionCount: number;
  /** The shape of the batches that the topic was filled with. */
  readonly batchBytes: number;
  readonly recordBytes: number;
  readonly connectionCount: number;
  readonly responseBytesMax: number;
  readonly bytesMax: number;
  readonly secondsMax: number;
};

/** Each connection reads its partition from the beginning to the end, again and again. */
export async function fetch(target: Target, load: FetchLoad): Promise<Done> {
  const batch = readyBatch(load.batchBytes, load.recordBytes);
  const connections = await openAll(target, load.connectionCount);
  let bytes = 0;
  let requests = 0;
  const startedMs = performance.now();
  const over = (): boolean => bytes >= load.bytesMax || performance.now() - startedMs > load.secondsMax * 1000;
  const work = Promise.all(
    connections.map(
      (connection, index) =>
        new Promise<void>((resolve, reject) => {
          const frame = fetchFrame(load.topic, index % load.partitionCount, load.responseBytesMax);
          let offset = 0;
          connection.onResponse = (head) => {
            const answer = readFetchAnswer(head, load.topic);
            if (answer.error !== 0) return reject(new Error(`fetch at ${offset}: error ${answer.error}`));
            bytes += answer.recordBytes;
            requests++;
            if (over()) return resolve();
            offset += Math.floor(answer.recordBytes / batch.bytes.length) * batch.recordCount;
            if (offset >= answer.endOffset) offset = 0;
            setFetchOffset(frame, load.topic, offset);
            connection.send(frame);
          };
          connection.send(frame);
        }),
    ),
  );
  await whileProgress(work, connections, () => requests);
  const seconds = (performance.now() - startedMs) / 1000;
  for (const connection of connections) connection.close();
  return { bytes, requests, records: Math.floor(bytes / batch.bytes.length) * batch.recordCount, seconds };
}

export type Latency = {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly requests: number;
};

/** Sends one record a request at a fixed rate, whether or not answers come, and times each from its sending to its answer. */
export async function paced(
  target: Target,
  load: {
    topic: string;
    partitionCount: number;
    recordBytes: number;
    ratePerSecond: number;
    seconds: number;
    acks: number;
  },
): Promise<Latency> {
  const batch = readyBatch(0, load.recordBytes);
  const [connection] = await openAll(target, 1);
  const frames = Array.from({ length: 4096 }, (_, i) =>
    produceFrame(load.topic, i % load.partitionCount, batch.bytes, load.acks),
  );
  const errorAt = produceErrorAt(load.topic);
  const total = load.ratePerSecond * load.seconds;
  const sentAtMs = new Float64Array(total);
  const tookMs = new Float64Array(total);
  let sent = 0;
  let answered = 0;
  const startedMs = performance.now();
  const work = new Promise<void>((resolve, reject) => {
    connection!.onResponse = (head) => {
      if (head.readInt16BE(errorAt) !== 0) return reject(new Error(`produce: error ${head.readInt16BE(errorAt)}`));
      tookMs[answered] = performance.now() - sentAtMs[answered]!;
      if (++answered === total) resolve();
    };
    const pace = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - startedMs) * load.ratePerSecond) / 1000));
      for (; sent < due; sent++) {
        const frame = frames[sent % frames.length]!;
        setCorrelationId(frame, sent);
        sentAtMs[sent] = performance.now();
        connection!.send(frame);
      }
      if (sent === total) clearInterval(pace);
    }, 1);
  });
  await whileProgress(work, [connection!], () => answered);
  connection!.close();
  const sorted = tookMs.slice(0, answered).sort();
  const at = (fraction: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))]!;
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: sorted[sorted.length - 1]!, requests: answered };
}

function openAll(target: Target, count: number): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => RawConnection.open(target.host, target.port)));
}
