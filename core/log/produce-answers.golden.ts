// Bad and good produce requests as they went over the wire, and what Kafka answered: the log must answer the same codes and offsets.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { asClient, logWorld } from "../../testing/log/fixtures.ts";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { ApiKey, decodeProduceRequest, decodeRequestHead, decodeResponseFrame, ErrorCode } from "../protocol/index.ts";

interface Line {
  dir: string;
  conn: number;
  corr: number;
  api: string;
  version: number;
  client: string;
  hex: string;
}

/** What the partition, not the request handler, decides. */
const decidedElsewhere = /unknown (topic|partition)|bad acks/;

function exchanges(): { what: string; topic: string; records: Buffer | null; answer: Record<string, unknown> }[] {
  const lines = readFileSync(sharedPath("protocol/transcripts/errors-produce-fetch.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.api === "Produce");
  const nameOf = new Map<string, string>();
  const found: ReturnType<typeof exchanges> = [];
  for (const request of lines.filter((line) => line.dir === "req")) {
    const reply = lines.find((line) => line.dir === "resp" && line.conn === request.conn && line.corr === request.corr);
    if (reply === undefined) continue;
    const head = decodeRequestHead(Buffer.from(request.hex, "hex").subarray(4));
    if ("unsupported" in head) throw new Error("a request of an unknown kind");
    const [data] = decodeProduceRequest(head.reader, request.version).topicData;
    const [part] = data!.partitionData;
    const response = decodeResponseFrame(ApiKey.Produce, request.version, Buffer.from(reply.hex, "hex").subarray(4));
    const topic = request.version >= 13 ? data!.topicId : data!.name;
    nameOf.set(topic, topic);
    const answer = response.responses[0]!.partitionResponses[0]! as unknown as Record<string, unknown>;
    const records = part!.records as Buffer | null;
    found.push({ what: request.client, topic, records, answer });
  }
  return found;
}

describe.skipIf(missingShared)("produce requests that Kafka has answered", () => {
  test("get the same code, offset, append time and number of record errors", () => {
    const plain = logWorld({ messageBytesMax: 1000 });
    const compacted = logWorld({ cleanupPolicy: { delete: false, compact: true } });
    const plainLog = plain.create();
    const compactedLog = compacted.create();
    let checked = 0;
    for (const { what, records, answer } of exchanges()) {
      if (decidedElsewhere.test(what) || !what.startsWith("raw: ")) continue;
      const [world, log] = what.includes("compaction") ? [compacted, compactedLog] : [plain, plainLog];
      if (answer.errorCode === ErrorCode.NONE && log.logEndOffset < Number(answer.baseOffset)) {
        log.truncateFullyAndStartAt(Number(answer.baseOffset) as typeof log.logEndOffset);
      }
      const outcome = log.append(
        Buffer.from(records ?? Buffer.alloc(0)),
        asClient(world, { nowMs: 1_700_000_000_000 }),
      );
      log.writePending();
      const got =
        outcome.kind === "refused"
          ? {
              errorCode: outcome.errorCode,
              baseOffset: -1,
              logAppendTimeMs: -1,
              recordErrors: outcome.recordErrors.map((error) => error.batchIndex),
            }
          : {
              errorCode: ErrorCode.NONE,
              baseOffset: outcome.firstOffset,
              logAppendTimeMs: outcome.logAppendTimeMs,
              recordErrors: [],
            };
      expect([what, got]).toEqual([
        what,
        {
          errorCode: answer.errorCode,
          baseOffset: Number(answer.baseOffset),
          logAppendTimeMs: Number(answer.logAppendTimeMs),
          recordErrors: (answer.recordErrors as { batchIndex: number }[]).map((error) => error.batchIndex),
        },
      ]);
      if (outcome.kind === "refused")
        expect([what, outcome.logStartOffset >= 0]).toEqual([what, Number(answer.logStartOffset) >= 0]);
      checked++;
    }
    expect(checked).toBeGreaterThan(15);
  });
});
