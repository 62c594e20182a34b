// Ready-made requests in the last versions without tagged fields, so that every field of an answer stands at a place known beforehand:
// Produce 8, Fetch 11, Metadata 8, CreateTopics 4, DeleteTopics 3. A batch is built once and sent again and again: the base offset stands
// outside the checksum, so the same bytes are a valid batch each time.
import { RecordBatchBuilder } from "@blumfeld/core/model";

const correlationAt = 8;

class FrameWriter {
  private readonly parts: Buffer[] = [];
  int8(value: number): this {
    this.parts.push(Buffer.from([value & 0xff]));
    return this;
  }
  int16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeInt16BE(value);
    this.parts.push(part);
    return this;
  }
  int32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    this.parts.push(part);
    return this;
  }
  int64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigInt64BE(BigInt(value));
    this.parts.push(part);
    return this;
  }
  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value);
    this.int16(bytes.length);
    this.parts.push(bytes);
    return this;
  }
  bytes(value: Buffer): this {
    this.int32(value.length);
    this.parts.push(value);
    return this;
  }
  frame(): Buffer {
    const body = Buffer.concat(this.parts);
    const size = Buffer.alloc(4);
    size.writeInt32BE(body.length);
    return Buffer.concat([size, body]);
  }
}

function request(apiKey: number, apiVersion: number): FrameWriter {
  return new FrameWriter().int16(apiKey).int16(apiVersion).int32(0).string("bench");
}

export function setCorrelationId(frame: Buffer, correlationId: number): void {
  frame.writeInt32BE(correlationId, correlationAt);
}

export type Batch = { readonly bytes: Buffer; readonly recordCount: number };

/** An uncompressed batch of equal records without keys, as near to `batchBytes` as whole records come without passing it. */
export function readyBatch(batchBytes: number, recordBytes: number): Batch {
  const headerBytes = 61;
  const recordOverheadBytes = 10;
  const recordCount = Math.max(1, Math.floor((batchBytes - headerBytes) / (recordBytes + recordOverheadBytes)));
  const value = Buffer.alloc(recordBytes);
  for (let i = 0; i < recordBytes; i++) value[i] = 97 + ((i * 7) % 26);
  const builder = new RecordBatchBuilder();
  const timestampMs = Date.now();
  for (let i = 0; i < recordCount; i++) builder.append(timestampMs, null, value);
  return { bytes: builder.build(), recordCount };
}

export function produceFrame(topic: string, partition: number, batch: Buffer, acks: number): Buffer {
  const timeoutMs = 30_000;
  const frame = request(0, 8).string(null).int16(acks).int32(timeoutMs);
  return frame.int32(1).string(topic).int32(1).int32(partition).bytes(batch).frame();
}

/** Where the first partition's error stands in the answer to `produceFrame`: correlation id, topic count, name, partition count, index. */
export function produceErrorAt(topic: string): number {
  return 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4;
}

const fetchSizes = { waitMsMax: 500, bytesMin: 1 };

/** Outside a fetch session; the fetch offset is patched by `setFetchOffset`. */
export function fetchFrame(topic: string, partition: number, bytesMax: number): Buffer {
  const frame = request(1, 11).int32(-1).int32(fetchSizes.waitMsMax).int32(fetchSizes.bytesMin).int32(bytesMax).int8(0);
  frame.int32(0).int32(-1); // no session
  frame.int32(1).string(topic).int32(1).int32(partition).int32(-1).int64(0).int64(-1).int32(bytesMax);
  return frame.int32(0).string("").frame();
}

export function setFetchOffset(frame: Buffer, topic: string, offset: number): void {
  const header = 4 + 2 + 2 + 4 + 2 + 5;
  const body = 4 + 4 + 4 + 4 + 1 + 4 + 4;
  frame.writeBigInt64BE(BigInt(offset), header + body + 4 + 2 + Buffer.byteLength(topic) + 4 + 4 + 4);
}

/** The error and the bytes of records of the one partition in an answer to `fetchFrame`. */
export function readFetchAnswer(
  head: Buffer,
  topic: string,
): { error: number; recordBytes: number; endOffset: number } {
  const sessionError = head.readInt16BE(8);
  const at = 4 + 4 + 2 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4;
  const error = sessionError || head.readInt16BE(at);
  const endOffset = Number(head.readBigInt64BE(at + 2));
  // After the three offsets stand the aborted transactions, of which plain topics have none: a null or empty array.
  return { error, endOffset, recordBytes: head.readInt32BE(at + 2 + 24 + 4 + 4) };
}

export function createTopicFrame(
  topic: string,
  partitionCount: number,
  configs: Readonly<Record<string, string>>,
): Buffer {
  const frame = request(19, 4).int32(1).string(topic).int32(partitionCount).int16(1).int32(0);
  const entries = Object.entries(configs);
  frame.int32(entries.length);
  for (const [name, value] of entries) frame.string(name).string(value);
  return frame.int32(60_000).int8(0).frame();
}

/** Where the first topic's error stands in the answer to `createTopicFrame` and `deleteTopicFrame`. */
export function topicErrorAt(topic: string): number {
  return 4 + 4 + 4 + 2 + Buffer.byteLength(topic);
}

export function deleteTopicFrame(topic: string): Buffer {
  return request(20, 3).int32(1).string(topic).int32(60_000).frame();
}
