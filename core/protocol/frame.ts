// What stands around a message on the wire: the size, the header, the body. Frames come in without their size, since the transport has
// cut them; they go out with it. A decoded message holds views of the frame it came from, which must outlive it.
import { ByteReader, ByteWriter, limits, MalformedMessage } from "../base/index.ts";
import { type Api, apiOf, apis, type RequestInitOf, type ResponseInitOf, type ResponseOf } from "./apis.ts";
import { ApiKey } from "./generated/apis.ts";

export interface RequestHead {
  readonly api: Api;
  readonly version: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  /** Stands at the first byte of the body. */
  readonly reader: ByteReader;
}

/** A request that cannot be read by what its header says. Kafka closes the connection, but answers ApiVersions. */
export interface RequestUnsupported {
  readonly unsupported: "api" | "version";
  readonly apiKey: number;
  readonly version: number;
  readonly correlationId: number;
  /** Null where it cannot be told. */
  readonly clientId: string | null;
}

/**
 * Reads a request's header from a frame without its size. `includeUnstable` admits versions that may still change. Throws
 * MalformedMessage. Of an ApiVersions request of an unknown version the header is read all the same, since it gets an answer.
 */
export function decodeRequestHead(frame: Buffer, includeUnstable = false): RequestHead | RequestUnsupported {
  const reader = new ByteReader(frame);
  reader.elementsLeft = limits.requestElementCountMax;
  const apiKey = reader.int16();
  const version = reader.int16();
  const correlationId = reader.int32();
  const api = apis.get(apiKey);
  if (api === undefined) return { unsupported: "api", apiKey, version, correlationId, clientId: null };
  const isSupported = api.supports(version, includeUnstable);
  if (!isSupported && apiKey !== ApiKey.ApiVersions) {
    return { unsupported: "version", apiKey, version, correlationId, clientId: null };
  }
  const clientId = reader.nullableString();
  if (api.isFlexible(version)) reader.skipTaggedFields();
  if (!isSupported) return { unsupported: "version", apiKey, version, correlationId, clientId };
  return { api, version, correlationId, clientId, reader };
}

/** A whole request frame, size included. */
export function encodeRequestFrame<Key extends ApiKey>(
  key: Key,
  version: number,
  head: { readonly correlationId: number; readonly clientId: string | null },
  message: RequestInitOf<Key>,
  writer = new ByteWriter(),
): Buffer[] {
  const api = apiOf(key);
  writer.frameBegin();
  writer.int16(key);
  writer.int16(version);
  writer.int32(head.correlationId);
  writer.nullableString(head.clientId);
  if (api.isFlexible(version)) writer.int8(0);
  api.encodeRequest(writer, message, version);
  writer.frameEnd();
  return writer.finish();
}

/** A whole response frame, size included. */
export function encodeResponseFrame<Key extends ApiKey>(
  key: Key,
  version: number,
  correlationId: number,
  message: ResponseInitOf<Key>,
  writer = new ByteWriter(),
): Buffer[] {
  const api = apiOf(key);
  writer.frameBegin();
  writer.int32(correlationId);
  if (api.responseHeaderVersion(version) === 1) writer.int8(0);
  api.encodeResponse(writer, message, version);
  writer.frameEnd();
  return writer.finish();
}

/** The correlation id of a response frame without its size. */
export function decodeCorrelationId(frame: Buffer): number {
  return new ByteReader(frame).int32();
}

/**
 * Reads the body of a response frame without its size. An ApiVersions answer may come in version 0 whatever was asked: then its error is
 * 35 and the version asked for was too new.
 */
export function decodeResponseFrame<Key extends ApiKey>(key: Key, version: number, frame: Buffer): ResponseOf<Key> {
  const api = apiOf(key);
  const reader = new ByteReader(frame);
  reader.int32();
  if (api.responseHeaderVersion(version) === 1) reader.skipTaggedFields();
  if (key === ApiKey.ApiVersions && version > 0) return decodeApiVersionsResponseOf(api, version, reader);
  return api.decodeResponse(reader, version);
}

const unsupportedVersionCode = 35;

function decodeApiVersionsResponseOf<Key extends ApiKey>(
  api: Api<Key>,
  version: number,
  reader: ByteReader,
): ResponseOf<Key> {
  const start = reader.position;
  const isRefusal = reader.int16() === unsupportedVersionCode;
  reader.position = start;
  if (!isRefusal) return api.decodeResponse(reader, version);
  try {
    return api.decodeResponse(reader, 0);
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    reader.position = start;
    return api.decodeResponse(reader, version);
  }
}
