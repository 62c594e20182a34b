// Every frame that Kafka's own clients, brokers and controllers exchanged: read to its last byte, and written again to the same bytes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import {
  type Api,
  ApiKey,
  apis,
  decodeEnvelopeRequest,
  decodeRequestHead,
  decodeResponseFrame,
  encodeRequestFrame,
  encodeResponseFrame,
  readPrincipal,
  writePrincipal,
} from "./index.ts";

interface Line {
  readonly via: string;
  readonly conn: number;
  readonly dir: string;
  readonly api: string;
  readonly key: number;
  readonly version: number;
  readonly corr: number;
  readonly client: string | null;
  readonly hex: string;
}

const folder = sharedPath("protocol/transcripts");
/** Requests that no client sends; the client id says what each tries. Their bodies are cut or their versions are unknown. */
const brokenClients = new Set([
  "raw: version too new",
  "raw: version too new, header of version 1",
  "raw: metadata too new",
  "raw: metadata too old",
  "raw: short body",
  "raw: cluster action on a broker",
]);

function framesOf(file: string): Line[] {
  const lines = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Line).filter((line) => line.hex !== undefined && line.api !== "raw");
}

function checkRequest(line: Line): void {
  const bytes = Buffer.from(line.hex, "hex");
  expect(bytes.readInt32BE(0)).toBe(bytes.length - 4);
  const head = decodeRequestHead(bytes.subarray(4));
  if ("unsupported" in head) throw new Error(`${line.api} version ${line.version} is unsupported`);
  expect([head.api.name, head.version, head.correlationId, head.clientId]).toEqual([
    line.api,
    line.version,
    line.corr,
    line.client,
  ]);
  const request = head.api.decodeRequest(head.reader, head.version);
  expect(head.reader.rest).toBe(0);
  const again = encodeRequestFrame(head.api.key, head.version, head, request);
  expect(Buffer.concat(again).toString("hex")).toBe(line.hex);
}

function checkResponse(line: Line): void {
  const bytes = Buffer.from(line.hex, "hex");
  const api = apis.get(line.key) as Api;
  const version = api.supports(line.version) ? line.version : 0;
  const response = decodeResponseFrame(api.key, version, bytes.subarray(4));
  const again = encodeResponseFrame(api.key, version, line.corr, response);
  expect(Buffer.concat(again).toString("hex")).toBe(line.hex);
}

describe.skipIf(missingShared)("transcripts of Kafka's own", () => {
  const files = missingShared ? [] : readdirSync(folder).filter((file) => file.endsWith(".jsonl"));

  test("all are here", () => expect(files.length).toBe(23));

  test.each(files)("%s", (file) => {
    const frames = framesOf(file);
    expect(frames.length).toBeGreaterThan(0);
    for (const line of frames) {
      if (line.dir === "resp") checkResponse(line);
      else if (!brokenClients.has(line.client ?? "")) checkRequest(line);
    }
  });

  test("what a broker forwards in an Envelope", () => {
    const forwarded = new Map<string, { key: ApiKey; version: number; correlationId: number }>();
    const answers: number[] = [];
    for (const line of files.flatMap((file) => framesOf(file).map((one) => ({ ...one, file })))) {
      if (line.api !== "Envelope") continue;
      const id = `${line.file} ${line.via} ${line.conn} ${line.corr}`;
      const frame = Buffer.from(line.hex, "hex").subarray(4);
      if (line.dir === "req") {
        const outer = decodeRequestHead(frame);
        if ("unsupported" in outer) throw new Error("its version is served");
        const envelope = decodeEnvelopeRequest(outer.reader, outer.version);
        const principal = readPrincipal(envelope.requestPrincipal!);
        expect(principal.type).toBe("User");
        expect(writePrincipal(principal)).toEqual(envelope.requestPrincipal);
        const head = decodeRequestHead(envelope.requestData);
        if ("unsupported" in head) throw new Error("its version is served");
        const request = head.api.decodeRequest(head.reader, head.version);
        expect(head.reader.rest).toBe(0);
        const again = Buffer.concat(encodeRequestFrame(head.api.key, head.version, head, request));
        expect(again.subarray(4)).toEqual(envelope.requestData);
        forwarded.set(id, { key: head.api.key, version: head.version, correlationId: head.correlationId });
      } else {
        const envelope = decodeResponseFrame(ApiKey.Envelope, line.version, frame);
        answers.push(envelope.errorCode);
        const inner = forwarded.get(id);
        if (envelope.responseData === null || inner === undefined) continue;
        const response = decodeResponseFrame(inner.key, inner.version, envelope.responseData);
        const again = Buffer.concat(encodeResponseFrame(inner.key, inner.version, inner.correlationId, response));
        expect(again.subarray(4)).toEqual(envelope.responseData);
      }
    }
    expect(forwarded.size).toBeGreaterThan(100);
    expect(answers.filter((code) => code === 0).length).toBeGreaterThan(100);
  });

  test("requests that Kafka closes the connection for are refused or told apart", () => {
    const broken = framesOf("api-versions.jsonl").filter(
      (line) => line.dir === "req" && brokenClients.has(line.client ?? ""),
    );
    expect(broken.length).toBe(11);
    for (const line of broken) {
      const frame = Buffer.from(line.hex, "hex").subarray(4);
      if (line.client === "raw: version too new, header of version 1" || line.api === "Vote") {
        expect(() => decodeRequestHead(frame)).toThrow("malformed message");
      } else if (line.client === "raw: short body") {
        const head = decodeRequestHead(frame);
        if ("unsupported" in head) throw new Error("its version is served");
        expect(() => head.api.decodeRequest(head.reader, head.version)).toThrow("malformed message");
      } else {
        expect(decodeRequestHead(frame)).toMatchObject({
          unsupported: "version",
          apiKey: line.key,
          version: line.version,
          clientId: line.key === ApiKey.ApiVersions ? line.client : null,
        });
      }
    }
  });
});
