// The forms in which records come in and go out.

import { Message } from "@blumfeld/client";
import { RecordBatchBuilder, RecordBatchView, RecordCursor } from "@blumfeld/core/model";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CliFailure } from "../failure.ts";
import type { CliIo } from "../io.ts";
import { readEscapes, splitBytes } from "./delimited.ts";
import { MessageFormat } from "./message-format.ts";
import { messageToJson, recordFromJson } from "./message-json.ts";
import { parseOffsetSpec } from "./offset-spec.ts";
import { OutputSink } from "./streams.ts";

type Bytes = Uint8Array | string | null;

function message(key: Bytes, value: Bytes, headers: readonly [string, Bytes][] = [], timestamp = 5): Message {
  const builder = new RecordBatchBuilder();
  builder.append(
    timestamp,
    key,
    value,
    headers.map(([name, content]) => ({ key: name, value: content })),
  );
  const view = new RecordBatchView(builder.build());
  const cursor = new RecordCursor().openRecords(view, view.recordsBytes);
  cursor.next();
  return new Message("orders", 3, cursor);
}

async function collectPieces(chunks: readonly Uint8Array[], delimiter: string): Promise<string[]> {
  const pieces: string[] = [];
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  for await (const piece of splitBytes(source(), Buffer.from(delimiter))) pieces.push(piece.toString("latin1"));
  return pieces;
}

describe("dividing", () => {
  test("the pieces do not depend on where the stream was cut", async () => {
    const alphabet = fc.array(fc.constantFrom("a", "b", ";", "|", "\n"), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(
        alphabet,
        fc.constantFrom("\n", ";", ";|"),
        fc.array(fc.nat(8)),
        async (characters, delimiter, cuts) => {
          const text = characters.join("");
          const chunks: Buffer[] = [];
          let at = 0;
          for (const cut of cuts) {
            chunks.push(Buffer.from(text.slice(at, at + cut)));
            at += cut;
          }
          chunks.push(Buffer.from(text.slice(at)));
          const expected = text.split(delimiter);
          if (expected[expected.length - 1] === "") expected.pop();
          expect(await collectPieces(chunks, delimiter)).toEqual(expected);
        },
      ),
    );
  });

  test("lines of other systems lose their carriage return, and only lines do", async () => {
    expect(await collectPieces([Buffer.from("a\r\n\r\nb\r")], "\n")).toEqual(["a", "", "b"]);
    expect(await collectPieces([Buffer.from("a\r;b")], ";")).toEqual(["a\r", "b"]);
  });

  test("escapes", () => {
    expect(readEscapes("a\\tb\\n\\x1f\\\\n\\0")).toBe("a\tb\n\u001f\\n\0");
    expect(readEscapes("\\q\\")).toBe("\\q\\");
  });
});

describe("JSON lines", () => {
  const bytes = fc.option(fc.uint8Array({ maxLength: 20 }));
  test("whatever bytes a record has, they come back the same", () => {
    fc.assert(
      fc.property(bytes, bytes, fc.array(fc.tuple(fc.string(), bytes), { maxLength: 4 }), (key, value, headers) => {
        const line = messageToJson(message(key, value, headers));
        const record = recordFromJson(Buffer.from(line), "copies", 1);
        const asHex = (content: Bytes | undefined): string | null =>
          content == null ? null : Buffer.from(content as string).toString("hex");
        expect([asHex(record.key), asHex(record.value)]).toEqual([asHex(key), asHex(value)]);
        const pairs = record.headers as readonly (readonly [string, Bytes])[];
        expect(pairs.map(([name, content]) => [name, asHex(content)])).toEqual(
          headers.map(([name, content]) => [name, asHex(content)]),
        );
        expect([record.topic, record.partition, record.timestamp]).toEqual(["copies", 3, 5]);
      }),
    );
  });

  test("a line is read by programs as it stands", () => {
    const line = messageToJson(message("k", Buffer.from([0xff, 0xfe]), [["h", null]], Number.MAX_SAFE_INTEGER));
    expect(JSON.parse(line)).toEqual({
      topic: "orders",
      partition: 3,
      offset: 0,
      timestamp: Number.MAX_SAFE_INTEGER,
      key: "k",
      value: { base64: "//4=" },
      headers: [["h", null]],
    });
  });

  test.each([
    ["{", /line 7: not JSON/],
    ["[1]", /not a JSON object/],
    ['{"value":{"base64":"?"}}', /value has no base 64/],
    ['{"partition":-1}', /partition is not a whole number/],
    ['{"timestamp":1.5}', /timestamp is not a whole number/],
    ['{"headers":[["a"]]}', /headers are not pairs/],
  ])("%s is refused with its line", (line, complaint) => {
    expect(() => recordFromJson(Buffer.from(line), "t", 7)).toThrow(complaint);
  });

  test("an object as value is its JSON", () => {
    expect(recordFromJson(Buffer.from('{"value":{"id":1},"headers":{"a":"b"}}'), "t", 1)).toMatchObject({
      value: '{"id":1}',
      headers: [["a", "b"]],
    });
  });
});

describe("formats", () => {
  function formatted(format: string, one: Message, nullText = ""): string {
    let text = "";
    const sink = new OutputSink({ out: (part: string) => (text += part) } as unknown as CliIo);
    new MessageFormat(format, nullText).write(sink, one);
    void sink.flush();
    return text;
  }

  test("every directive", () => {
    const one = message("key", "value", [
      ["a", "1"],
      ["b", null],
    ]);
    expect(formatted("%t %p %o %k %s %T %h %K %S %%|\\n", one)).toBe("orders 3 0 key value 5 a=1,b=NULL 3 5 %|\n");
    expect(formatted("%R", one)).toBe("\0\0\0\u0005");
  });

  test("null has a text of its own", () => {
    expect(formatted("[%k][%s] %K %S", message(null, null), "NULL")).toBe("[NULL][NULL] -1 -1");
    expect(formatted("[%k]", message("", "x"), "NULL")).toBe("[]");
  });

  test.each(["%q", "a%", "%"])("%j is a usage failure", (format) => {
    expect(() => new MessageFormat(format, "")).toThrow(CliFailure);
  });
});

describe("places", () => {
  test.each([
    ["beginning", "beginning"],
    ["latest", "end"],
    ["0", 0],
    ["42", 42],
    ["-3", -3],
    ["@1700000000000", { timestamp: 1_700_000_000_000 }],
    ["@2024-03-01", { timestamp: Date.UTC(2024, 2, 1) }],
    ["@2024-03-01T12:30", { timestamp: Date.UTC(2024, 2, 1, 12, 30) }],
    ["@2024-03-01T12:30:15.250+02:00", { timestamp: Date.UTC(2024, 2, 1, 10, 30, 15, 250) }],
  ])("%s", (text, place) => {
    expect(parseOffsetSpec("--from", text)).toEqual(place);
  });

  test.each(["", "x", "-0", "1.5", "@", "@yesterday", "@2024-13-01", "99999999999999999"])("%j is no place", (text) => {
    expect(() => parseOffsetSpec("--from", text)).toThrow(/--from/);
  });
});
