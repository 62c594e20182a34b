// What Apache Kafka 4.3's controllers said to each other, judged byte for byte: a replica in their place asks what they asked, and answers what
// they answered.
import { readFileSync } from "node:fs";
import { MemoryDisk } from "@blumfeld/host/disk";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import type { Logger, Timers, Uuid } from "../base/index.ts";
import { seededRandom } from "../base/index.ts";
import { createLog, loadLog, logConfigDefaults, standaloneEnvironment } from "../log/index.ts";
import { type Offset, partitionIndexOf } from "../model/index.ts";
import {
  ApiKey,
  apiOf,
  decodeRequestHead,
  decodeResponseFrame,
  encodeRequestFrame,
  encodeResponseFrame,
  type ResponseInitOf,
} from "../protocol/index.ts";
import type { Voter } from "./metadata-quorum.ts";
import { QuorumReplica } from "./quorum-replica.ts";
import { snapshotLimitsDefault } from "./snapshot-keeper.ts";
import { writeSnapshotNow } from "./snapshot-writer.ts";

interface Line {
  readonly t: number;
  readonly via: string;
  readonly conn: number;
  readonly dir: string;
  readonly api: string;
  readonly version: number;
  readonly corr: number;
  readonly client: string;
  readonly hex: string;
}

const lines: readonly Line[] = missingShared
  ? []
  : readFileSync(sharedPath("protocol/transcripts/cluster.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);

const path = "/data/__cluster_metadata-0";
const clusterId = "Z29sZGVuLWNsdXN0ZXItMQ";
const directoryOf = (id: number): Uuid => `AAAAAAAAQACAAAAAAAAAA${"QgwA"[id - 1]}` as Uuid;
const voters: readonly Voter[] = [1, 2, 3].map((id) => ({
  id,
  directoryId: directoryOf(id),
  endpoints: [{ name: "CONTROLLER", host: "127.0.0.1", port: 61330 + id }],
}));
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

interface Sent {
  readonly to: number;
  readonly key: ApiKey;
  readonly request: object;
  readonly answer: (response: object) => void;
}

/** A replica in the place of one of Kafka's three nodes, as formatting left it. Timers go off when the test says so. */
class Replica {
  readonly sent: Sent[] = [];
  readonly quorum: QuorumReplica;
  private timers: { readonly delayMs: number; readonly callback: () => void }[] = [];

  constructor(id: number) {
    const disk = new MemoryDisk();
    disk.makeDirectory(path);
    const quorum = { kraftVersion: 1, voters };
    writeSnapshotNow(disk, path, { id: { endOffset: 0, epoch: 0 }, lastContainedMs: 0, nowMs: 0, quorum }, []);
    const clock = { wallMs: () => 1000, monotonicMs: () => 1000 };
    const environment = standaloneEnvironment({ disk, clock, random: seededRandom(1) });
    const topicPartition = { topic: "__cluster_metadata", partition: partitionIndexOf(0) };
    const place = { topicPartition, directory: "/data", folder: path };
    const start = 0 as Offset;
    const load = { hadCleanShutdown: false, recoveryPoint: start, logStartOffset: start, highWatermark: start };
    const log =
      disk.status(path) === null
        ? createLog(environment, place, logConfigDefaults, null)
        : loadLog(environment, place, logConfigDefaults, load).log;
    const timers: Timers = {
      after: (delayMs, callback) => {
        const timer = { delayMs, callback };
        this.timers.push(timer);
        const cancel = (): void => {
          this.timers = this.timers.filter((each) => each !== timer);
        };
        return { cancel };
      },
      atTurnEnd: (callback) => callback(),
    };
    const started = QuorumReplica.start({
      ...{ nodeId: id, directoryId: directoryOf(id), clusterId, staticVoters: null, disk, clock, timers, log },
      ...{ logger: quiet, random: seededRandom(1), limits: snapshotLimitsDefault, listeners: [] },
      endpoints: voters[id - 1]!.endpoints,
      listenerName: "CONTROLLER",
      snapshotSource: () => [],
      send: (to, key, request) =>
        new Promise((resolve) => {
          this.sent.push({ to: to.id, key, request, answer: (response) => resolve(response as never) });
        }),
      onFailure: (error) => {
        throw error;
      },
    });
    if (started.kind === "refused") throw new Error(started.message);
    this.quorum = started.quorum;
  }

  /** The timers that wait for at least so long go off. */
  fire(atLeastMs: number): void {
    const due = this.timers.filter(({ delayMs }) => delayMs >= atLeastMs && delayMs < 10_000);
    this.timers = this.timers.filter((timer) => !due.includes(timer));
    for (const { callback } of due) callback();
  }

  /** The request of this kind that it has sent to a node, as the frame that `line` is. */
  frameLike(line: Line): string {
    const key = ApiKey[line.api as keyof typeof ApiKey];
    const to = Number(line.via.at(-1));
    const sent = this.sent.findLast((each) => each.key === key && each.to === to);
    if (sent === undefined) return `no ${line.api} to node ${to}`;
    const head = { correlationId: line.corr, clientId: line.client };
    return Buffer.concat(encodeRequestFrame(key, line.version, head, sent.request as never)).toString("hex");
  }

  answer(line: Line): string {
    const key = ApiKey[line.api as keyof typeof ApiKey];
    const head = decodeRequestHead(Buffer.from(line.hex, "hex").subarray(4), true);
    if ("unsupported" in head) throw new Error(`an unsupported ${line.api}`);
    const request = apiOf(key).decodeRequest(head.reader, line.version) as never;
    const context = { apiVersion: line.version, listenerName: "CONTROLLER", nowMs: 1000 };
    const response =
      key === ApiKey.Vote
        ? this.quorum.onVote(request, context)
        : key === ApiKey.BeginQuorumEpoch
          ? this.quorum.onBeginQuorumEpoch(request, context)
          : this.quorum.onEndQuorumEpoch(request, context);
    return Buffer.concat(
      encodeResponseFrame(key, line.version, line.corr, response as ResponseInitOf<typeof key>),
    ).toString("hex");
  }
}

function line(api: string, atMs: number, dir: "req" | "resp" = "req"): Line {
  const found = lines.find((each) => each.api === api && each.dir === dir && each.t === atMs);
  if (found === undefined) throw new Error(`the transcript has no ${api} at ${atMs}`);
  return found;
}

function responseOf(request: Line): Line {
  const at = lines.indexOf(request);
  return lines
    .slice(at)
    .find((each) => each.dir === "resp" && each.conn === request.conn && each.corr === request.corr)!;
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

describe.skipIf(missingShared)("as Kafka's controllers", () => {
  test("node 2 asks for pre-votes, votes, and tells that it leads", async () => {
    const node = new Replica(2);
    const preVote = line("Vote", 10448);
    const vote = line("Vote", 10669);
    node.fire(1000);
    expect(node.frameLike(preVote)).toBe(preVote.hex);
    const grant = (request: Line): object =>
      decodeResponseFrame(ApiKey.Vote, request.version, Buffer.from(responseOf(request).hex, "hex").subarray(4));
    node.sent.findLast(({ key, to }) => key === ApiKey.Vote && to === 3)!.answer(grant(preVote));
    await settled();
    expect(node.quorum.roleName).toBe("candidate");
    expect(node.frameLike(vote)).toBe(vote.hex);
    node.sent.findLast(({ key, to }) => key === ApiKey.Vote && to === 3)!.answer(grant(vote));
    await settled();
    expect(node.quorum.leaderAndEpoch).toEqual({ leaderId: 2, epoch: 1 });
    for (const begin of [line("BeginQuorumEpoch", 11074), line("BeginQuorumEpoch", 11209)]) {
      expect(node.frameLike(begin)).toBe(begin.hex);
    }
  });

  test("node 3 promises and gives its vote, and follows", () => {
    const node = new Replica(3);
    for (const request of [line("Vote", 10448), line("Vote", 10669), line("BeginQuorumEpoch", 11074)]) {
      expect(node.answer(request)).toBe(responseOf(request).hex);
    }
    expect([node.quorum.roleName, node.quorum.leaderAndEpoch]).toEqual(["follower", { leaderId: 2, epoch: 1 }]);
  });

  test("a follower's fetch is Kafka's, but for its position", () => {
    const node = new Replica(3);
    node.answer(line("BeginQuorumEpoch", 11074));
    const fetch = lines.find(({ api, client, dir }) => api === "Fetch" && dir === "req" && client === "raft-client-3")!;
    const head = decodeRequestHead(Buffer.from(fetch.hex, "hex").subarray(4), true);
    if ("unsupported" in head) throw new Error("an unsupported fetch");
    const kafka = apiOf(ApiKey.Fetch).decodeRequest(head.reader, fetch.version);
    const frame = Buffer.from(node.frameLike(fetch), "hex").subarray(4);
    const own = decodeRequestHead(frame, true);
    if ("unsupported" in own) throw new Error("an unsupported fetch");
    const request = apiOf(ApiKey.Fetch).decodeRequest(own.reader, fetch.version);
    const position = { fetchOffset: 13n, lastFetchedEpoch: 1, highWatermark: 13n };
    const [topic] = request.topics;
    const partitions = topic!.partitions.map((partition) => ({ ...partition, ...position }));
    expect({ ...request, topics: [{ ...topic!, partitions }] }).toEqual(kafka);
  });

  test("one that resigns in an epoch that has passed learns who leads", () => {
    const node = new Replica(1);
    node.answer(line("BeginQuorumEpoch", 41405));
    const request = line("EndQuorumEpoch", 79611);
    expect(node.answer(request)).toBe(responseOf(request).hex);
  });
});
