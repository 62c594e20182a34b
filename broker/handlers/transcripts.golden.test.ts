// Plays the produces and fetches of Kafka's own clients (transcripts plain and idempotent) against this broker, connection by connection, and
// what api-versions holds for a broker's listener. The answers have to be the same bytes but for what is drawn or differs by cluster.
import { existsSync, readFileSync } from "node:fs";
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { type ApiKey, decodeRequestHead, decodeResponseFrame, type ProduceRequest } from "@blumfeld/core/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { BrokerFixture, type FixtureClient } from "../fixture/broker-fixture.ts";

interface Line {
  conn: number;
  dir: string;
  api: string | null;
  version: number | null;
  corr: number | null;
  client: string | null;
  hex: string | null;
}

function linesOf(name: string): Line[] {
  const path = sharedPath(`protocol/transcripts/${name}.jsonl`);
  if (missingShared || !existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

function responseTo(lines: readonly Line[], request: Line): Line | undefined {
  const at = lines.indexOf(request);
  return lines.find(
    (line, index) => index > at && line.dir === "resp" && line.conn === request.conn && line.corr === request.corr,
  );
}

function topicIdsOf(lines: readonly Line[]): Set<Uuid> {
  const ids = new Set<Uuid>();
  for (const line of lines) {
    if (line.dir !== "req" || line.api !== "Produce") continue;
    const head = decodeRequestHead(Buffer.from(line.hex!.slice(8), "hex"));
    if ("unsupported" in head) continue;
    const request = head.api.decodeRequest(head.reader, head.version) as ProduceRequest;
    for (const topic of request.topicData) if (topic.topicId !== uuidZero) ids.add(topic.topicId);
  }
  return ids;
}

describe.skipIf(missingShared).each(["plain", "idempotent"])("Kafka's clients in %s", (name) => {
  const lines = linesOf(name);
  let fixture: BrokerFixture;
  const clients = new Map<number, FixtureClient>();

  beforeAll(async () => {
    const topics = [...topicIdsOf(lines)].map((id, index) => ({ name: `topic-${index}`, id, partitionCount: 6 }));
    fixture = await BrokerFixture.start({ topics });
  });
  afterAll(() => fixture.stop());

  it("get Kafka's answers to their produces", async () => {
    let played = 0;
    for (const line of lines) {
      if (line.dir !== "req" || line.api !== "Produce") continue;
      let client = clients.get(line.conn);
      if (client === undefined) {
        client = await fixture.client();
        clients.set(line.conn, client);
      }
      client.sendRaw(Buffer.from(line.hex!, "hex"));
      const expected = responseTo(lines, line);
      if (expected === undefined) continue;
      const answer = await client.next();
      expect(answer?.toString("hex"), `${line.client} ${line.corr}`).toBe(expected.hex!.slice(8));
      played++;
    }
    expect(played).toBeGreaterThanOrEqual(5);
    expect(fixture.logger.lines).toEqual([]);
  });

  it.runIf(name === "plain")("get Kafka's answers to the fetches that begin a session", async () => {
    let played = 0;
    const client = await fixture.client();
    for (const line of lines) {
      if (line.dir !== "req" || line.api !== "Fetch") continue;
      const response = responseTo(lines, line);
      if (response === undefined) continue;
      const version = line.version!;
      const expected = decodeResponseFrame(
        1 as typeof ApiKey.Fetch,
        version,
        Buffer.from(response.hex!.slice(8), "hex"),
      );
      const hasRecords = expected.responses.some((topic) =>
        topic.partitions.some((one) => (one.records?.length ?? 0) > 0),
      );
      const head = decodeRequestHead(Buffer.from(line.hex!.slice(8), "hex"));
      if (!hasRecords || "unsupported" in head) continue;
      const request = head.api.decodeRequest(head.reader, version) as { sessionEpoch: number };
      if (request.sessionEpoch !== 0) continue;
      client.sendRaw(Buffer.from(line.hex!, "hex"));
      const answer = decodeResponseFrame(1 as typeof ApiKey.Fetch, version, (await client.next())!);
      expect(answer.sessionId).not.toBe(0);
      expect({ ...answer, sessionId: 0 }).toEqual({ ...expected, sessionId: 0 });
      played++;
    }
    expect(played).toBeGreaterThan(0);
  });
});

describe.skipIf(missingShared)("Kafka's answers to ApiVersions and to what is no request", () => {
  const lines = linesOf("api-versions").filter((line) => line.conn < 1000);
  let fixture: BrokerFixture;
  beforeAll(async () => {
    fixture = await BrokerFixture.start();
  });
  afterAll(() => fixture.stop());

  it.each([...new Set(lines.map((line) => line.conn))])("connection %s", async (conn) => {
    const client = await fixture.client();
    const served = new Set(fixture.broker.handlers.served().map((api) => api.key as number));
    for (const line of lines) {
      if (line.conn !== conn || line.dir !== "req") continue;
      const expected = responseTo(lines, line);
      client.sendRaw(Buffer.from(line.hex!, "hex"));
      const answer = await client.next();
      if (expected === undefined) {
        expect(answer, `${line.client}: closed`).toBeNull();
        return;
      }
      if (line.api !== "ApiVersions") continue;
      const version = line.version! > 4 ? 0 : line.version!;
      const own = decodeResponseFrame(18 as typeof ApiKey.ApiVersions, version, answer!);
      const theirs = decodeResponseFrame(
        18 as typeof ApiKey.ApiVersions,
        version,
        Buffer.from(expected.hex!.slice(8), "hex"),
      );
      expect(own.errorCode).toBe(theirs.errorCode);
      expect(own.apiKeys).toEqual(theirs.apiKeys.filter((one) => served.has(one.apiKey)));
    }
  });
});
