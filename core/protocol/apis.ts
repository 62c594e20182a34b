// Every API that Kafka 4.3 serves, by key: its versions, its headers, its four codecs with their types.
import type { ByteReader, ByteWriter } from "../base/index.ts";
import { type ApiFacts, ApiKey, type ApiMessages, apiFacts } from "./generated/apis.ts";

export type RequestOf<Key extends ApiKey> = ApiMessages[Key]["request"];
export type RequestInitOf<Key extends ApiKey> = ApiMessages[Key]["requestInit"];
export type ResponseOf<Key extends ApiKey> = ApiMessages[Key]["response"];
export type ResponseInitOf<Key extends ApiKey> = ApiMessages[Key]["responseInit"];

/** Which kind of listener a request arrives at. */
export type ListenerKind = "broker" | "controller";

export class Api<Key extends ApiKey = ApiKey> {
  readonly key: Key;
  /** `ListOffsets`. */
  readonly name: string;
  /** `LIST_OFFSETS`, as Kafka's logs and metrics have it. */
  readonly upperName: string;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Below `maxVersion` where the newest version may still change. */
  readonly latestStableVersion: number;
  /** -1 where no version is flexible. */
  readonly flexibleFrom: number;
  readonly listeners: readonly ListenerKind[];
  private readonly facts: ApiFacts<Key>;

  constructor(facts: ApiFacts<Key>) {
    this.key = facts.key;
    this.name = facts.name;
    this.upperName = facts.name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
    this.minVersion = facts.minVersion;
    this.maxVersion = facts.maxVersion;
    this.latestStableVersion = facts.latestStableVersion;
    this.flexibleFrom = facts.flexibleFrom;
    this.listeners = facts.listeners;
    this.facts = facts;
  }

  supports(version: number, includeUnstable = false): boolean {
    return version >= this.minVersion && version <= (includeUnstable ? this.maxVersion : this.latestStableVersion);
  }

  isFlexible(version: number): boolean {
    return this.flexibleFrom >= 0 && version >= this.flexibleFrom;
  }

  requestHeaderVersion(version: number): 1 | 2 {
    return this.isFlexible(version) ? 2 : 1;
  }

  /** ApiVersions answers with header version 0 always: its client does not know yet what the server speaks. */
  responseHeaderVersion(version: number): 0 | 1 {
    return this.key !== ApiKey.ApiVersions && this.isFlexible(version) ? 1 : 0;
  }

  decodeRequest(reader: ByteReader, version: number): RequestOf<Key> {
    return this.facts.decodeRequest(reader, version);
  }

  encodeRequest(writer: ByteWriter, message: RequestInitOf<Key>, version: number): void {
    this.facts.encodeRequest(writer, message, version);
  }

  decodeResponse(reader: ByteReader, version: number): ResponseOf<Key> {
    return this.facts.decodeResponse(reader, version);
  }

  encodeResponse(writer: ByteWriter, message: ResponseInitOf<Key>, version: number): void {
    this.facts.encodeResponse(writer, message, version);
  }
}

/** All APIs by key, in the order of their keys. */
export const apis: ReadonlyMap<number, Api> = new Map(
  Object.values(apiFacts).map((facts) => [facts.key, new Api(facts as ApiFacts) as Api]),
);

/** The API with this key, with its own types. */
export function apiOf<Key extends ApiKey>(key: Key): Api<Key> {
  return apis.get(key) as unknown as Api<Key>;
}
