// What nodes of an Apache Kafka cluster asked the leader of their quorum (transcript cluster, up to the first change of leaders), asked of a
// quorum of one that has the same cluster id and the same node id: each answer must be Apache Kafka's, field by field, but for what varies
// from run to run (offsets, broker epochs, directory and topic ids, ports, bytes of records).
import { readFileSync } from "node:fs";
import {
  ApiKey,
  decodeRequestHead,
  decodeResponseFrame,
  type RequestInitOf,
  type RequestOf,
} from "@blumfeld/core/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import type { FixtureClient } from "../fixture/broker-fixture.ts";
import { ControllerFixture } from "../fixture/controller-fixture.ts";

interface Line {
  readonly t: number;
  readonly via?: string;
  readonly conn: number;
  readonly dir: string;
  readonly key: number;
  readonly version: number;
  readonly corr: number;
  readonly hex: string;
}

const clusterId = "Z29sZGVuLWNsdXN0ZXItMQ";
/** Node 2 led until it was killed. */
const leader = "controller-2";
const recordedEndMs = 37_800;

const lines: Line[] = missingShared
  ? []
  : readFileSync(sharedPath("protocol/transcripts/cluster.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);

const bodyOf = (line: Line): Buffer => Buffer.from(line.hex.slice(8), "hex");

/** Requests of one kind to the leader, with what it answered. */
function exchangesOf<Key extends ApiKey>(key: Key) {
  return lines.flatMap((line, at) => {
    if (line.via !== leader || line.dir !== "req" || line.key !== key || line.t > recordedEndMs) return [];
    const answer = lines
      .slice(at)
      .find((one) => one.dir === "resp" && one.conn === line.conn && one.corr === line.corr);
    const head = decodeRequestHead(bodyOf(line));
    if (answer === undefined || "unsupported" in head) return [];
    const request = head.api.decodeRequest(head.reader, head.version) as unknown as RequestOf<Key>;
    return [{ version: line.version, request, answer: decodeResponseFrame(key, line.version, bodyOf(answer)) }];
  });
}

describe.skipIf(missingShared)("the leader of an Apache Kafka quorum", () => {
  let fixture: ControllerFixture;
  let client: FixtureClient;
  /** By broker id, as this cluster gave them. */
  const epochs = new Map<number, bigint>();

  beforeAll(async () => {
    // Its topics' settings show in its answers.
    fixture = await ControllerFixture.start({
      ...{ clusterId, nodeId: 2 },
      properties: { "log.index.size.max.bytes": 262_144 },
    });
    client = await fixture.client();
  });
  afterAll(() => fixture.stop());

  async function ask<Key extends ApiKey>(key: Key, version: number, request: RequestOf<Key>) {
    return client.ask(key, version, request as unknown as RequestInitOf<Key>);
  }

  test("registers controllers and brokers", async () => {
    const controllers = exchangesOf(ApiKey.ControllerRegistration);
    for (const { answer, request, version } of controllers) {
      expect(await ask(ApiKey.ControllerRegistration, version, request)).toEqual(answer);
    }
    // One came before that leader could write: 41, and asked again. This one's own broker is registered already.
    const brokers = exchangesOf(ApiKey.BrokerRegistration).filter(
      ({ answer, request }) => answer.errorCode === 0 && request.brokerId !== 2,
    );
    for (const { answer, request, version } of brokers) {
      const own = await ask(ApiKey.BrokerRegistration, version, request);
      expect({ ...own, brokerEpoch: 0n }).toEqual({ ...answer, brokerEpoch: 0n });
      epochs.set(request.brokerId, own.brokerEpoch);
    }
    expect([controllers.length, brokers.length]).toEqual([3, 2]);
    expect([...epochs.keys()].sort()).toEqual([1, 3]);
  });

  test("unfences who has caught up", async () => {
    const heartbeats = exchangesOf(ApiKey.BrokerHeartbeat).filter(({ request }) => epochs.has(request.brokerId));
    for (const { answer, request, version } of heartbeats) {
      const currentMetadataOffset = BigInt(fixture.metadata.node.quorum.highWatermark - 1);
      const patched = { ...request, brokerEpoch: epochs.get(request.brokerId)!, currentMetadataOffset };
      expect(await ask(ApiKey.BrokerHeartbeat, version, patched)).toEqual(answer);
    }
    expect(heartbeats.length).toBeGreaterThan(5);
    expect([...fixture.metadata.node.image.cluster.brokers.values()].every(({ fenced }) => !fenced)).toBe(true);
  });

  test("gives producer ids", async () => {
    const exchanges = exchangesOf(ApiKey.AllocateProducerIds);
    for (const { answer, request, version } of exchanges) {
      const brokerEpoch = epochs.get(request.brokerId) ?? BigInt(fixture.metadata.node.brokerEpoch);
      expect(await ask(ApiKey.AllocateProducerIds, version, { ...request, brokerEpoch })).toEqual(answer);
    }
    expect(exchanges.length).toBe(2);
  });

  test("creates topics for brokers, in an envelope and outside of one", async () => {
    const varying = <Topics extends { topics: readonly { topicId: unknown }[] }>(answer: Topics) => ({
      ...answer,
      topics: answer.topics.map((topic) => ({ ...topic, topicId: "" })),
    });
    const envelopes = exchangesOf(ApiKey.Envelope).slice(0, 1);
    for (const { answer, request, version } of envelopes) {
      const own = await ask(ApiKey.Envelope, version, request);
      expect(own.errorCode).toBe(answer.errorCode);
      const read = (bytes: Buffer | null) => varying(decodeResponseFrame(ApiKey.CreateTopics, 7, bytes!));
      expect(read(own.responseData)).toEqual(read(answer.responseData));
    }
    const created = exchangesOf(ApiKey.CreateTopics);
    for (const { answer, request, version } of created) {
      expect(varying(await ask(ApiKey.CreateTopics, version, request))).toEqual(varying(answer));
    }
    expect([envelopes.length, created.length]).toEqual([1, 2]);
  });

  test("sends its log to replicas", async () => {
    const { quorum } = fixture.metadata.node;
    const exchanges = exchangesOf(ApiKey.Fetch).filter(({ answer }) => {
      const partition = answer.responses[0]?.partitions[0];
      return partition?.errorCode === 0 && (partition.records?.length ?? 0) > 0;
    });
    for (const { answer, request, version } of exchanges) {
      const offset = BigInt(quorum.highWatermark - 1);
      const [topic] = request.topics;
      const position = { fetchOffset: offset, highWatermark: offset, currentLeaderEpoch: fixture.epoch };
      const [asked] = topic!.partitions;
      const partition = { ...asked!, ...position, lastFetchedEpoch: fixture.epoch };
      const own = await ask(ApiKey.Fetch, version, { ...request, topics: [{ ...topic!, partitions: [partition] }] });
      const varying = ({ nodeEndpoints, responses, ...rest }: typeof answer) => ({
        ...rest,
        nodeEndpoints: nodeEndpoints.map((endpoint) => ({ ...endpoint, port: 0 })),
        responses: responses.map((each) => ({
          ...each,
          partitions: each.partitions.map(({ highWatermark, records, ...fields }) => ({
            ...fields,
            isKnown: [highWatermark >= 0n, (records?.length ?? 0) > 0],
            currentLeader: { ...fields.currentLeader, leaderEpoch: 1 },
          })),
        })),
      });
      expect(varying(own)).toEqual(varying(answer));
    }
    expect(exchanges.length).toBeGreaterThan(3);
  });

  test("tells whoever votes too late who leads", async () => {
    const late = exchangesOf(ApiKey.Vote).filter(({ answer }) => answer.topics[0]!.partitions[0]!.leaderId === 2);
    const voterDirectoryId = fixture.metadata.node.quorum.directoryId!;
    for (const { answer, request, version } of late) {
      const [topic] = request.topics;
      const partition = { ...topic!.partitions[0]!, voterDirectoryId };
      const own = await ask(ApiKey.Vote, version, { ...request, topics: [{ ...topic!, partitions: [partition] }] });
      const varying = ({ nodeEndpoints, ...rest }: typeof answer) => ({
        ...rest,
        nodeEndpoints: nodeEndpoints.map((endpoint) => ({ ...endpoint, port: 0 })),
      });
      expect(varying(own)).toEqual(varying(answer));
    }
    expect(late.length).toBeGreaterThan(0);
  });
});
