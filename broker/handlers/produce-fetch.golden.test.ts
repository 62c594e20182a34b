// Plays what Apache Kafka 4.3 was asked and answered (errors-produce-fetch) against this broker: the answers have to be the same bytes, but
// for the fetch session's id, which is drawn.
import { existsSync, readFileSync } from "node:fs";
import type { Uuid } from "@blumfeld/core/base";
import { uuidFromBytes } from "@blumfeld/core/base";
import { ApiKey, decodeResponseFrame } from "@blumfeld/core/protocol";
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

const path = sharedPath("protocol/transcripts/errors-produce-fetch.jsonl");
const lines: Line[] =
  missingShared || !existsSync(path)
    ? []
    : readFileSync(path, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Line);

const topicId = uuidFromBytes(Buffer.from("4a434318c5664dfb8b7fff0b4d4a1d00", "hex"));
const compactedId = uuidFromBytes(Buffer.from("a724869c2e2a44868cea46b07e6612df", "hex")) as Uuid;
const played = new Set(["Produce", "Fetch", "ListOffsets", "OffsetForLeaderEpoch"]);

/** Asked of Kafka, where a null pointer closed the connection; here it is an error of the partition. */
const notPlayed = new Set(["raw: null records"]);

function exchanges(): { request: Line; response: Line | undefined }[] {
  const responses = new Map(lines.filter((line) => line.dir === "resp").map((line) => [line.corr, line]));
  return lines
    .filter((line) => line.dir === "req" && played.has(line.api!) && !notPlayed.has(line.client!))
    .map((request) => ({ request, response: responses.get(request.corr) }));
}

function wordless(hex: string): unknown {
  const answer = decodeResponseFrame(ApiKey.Produce, 13, Buffer.from(hex, "hex"));
  const part = answer.responses[0]!.partitionResponses[0]!;
  for (const one of part.recordErrors)
    one.batchIndexErrorMessage = one.batchIndexErrorMessage === null ? null : "words";
  part.errorMessage = part.errorMessage === null ? null : "words";
  return answer;
}

describe.skipIf(lines.length === 0)("Kafka's answers to produce, fetch, list offsets and epochs", () => {
  let fixture: BrokerFixture;
  let client: FixtureClient;
  let recordedSession: string | null = null;
  let ownSession: string | null = null;

  beforeAll(async () => {
    fixture = await BrokerFixture.start({
      topics: [
        { name: "err", id: topicId, config: { messageBytesMax: 1024 } },
        { name: "err-c", id: compactedId, config: { cleanupPolicy: { delete: false, compact: true } } },
      ],
    });
    client = await fixture.client();
    // What was in the topic before the recording: the first batch of the first fetch.
    const fetched = lines.find((line) => line.client === "raw: good fetch" && line.api === "Fetch");
    const answer = lines.find((line) => line.dir === "resp" && line.corr === fetched!.corr)!.hex!;
    const at = answer.indexOf("00000000000000000000005200000000029572841d");
    const batch = Buffer.from(answer.slice(at, at + 2 * (12 + 0x52)), "hex");
    const partition = fixture.broker.parts.partitions.get("err", 0)!;
    const before = partition.append(batch, { origin: "client", nowMs: Date.now() });
    expect(before.kind).toBe("appended");
  });
  afterAll(() => fixture.stop());

  it.each(
    exchanges().map(
      ({ request, response }) =>
        [`${request.client} ${request.api} v${request.version} #${request.corr}`, request, response] as const,
    ),
  )("%s", async (_, request, response) => {
    let hex = request.hex!;
    if (recordedSession !== null && ownSession !== null) hex = hex.replace(recordedSession, ownSession);
    client.sendRaw(Buffer.from(hex, "hex"));
    const answer = await client.next();
    let expected = response!.hex!.slice(8);
    let actual = answer!.toString("hex");
    if (request.client === "raw: new session") {
      recordedSession = expected.slice(22, 30);
      ownSession = actual.slice(22, 30);
      expect(ownSession).not.toBe("00000000");
    }
    if (recordedSession !== null && ownSession !== null) {
      expected = expected.replace(recordedSession, "5e551047");
      actual = actual.replace(ownSession, "5e551047");
    }
    if (request.client === "raw: no key for compaction") {
      // The words are our own; codes and numbers are Kafka's.
      expect(wordless(actual)).toEqual(wordless(expected));
      return;
    }
    expect(actual).toBe(expected);
  });
});
