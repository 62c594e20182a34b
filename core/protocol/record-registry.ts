// Records as the logs of the cluster hold them: metadata records with their frame, coordinator records as a key and a value with their
// prefixes. Which types there are is generated from the declarations. Decoded bytes are views of the input.
import { ByteReader, ByteWriter, MalformedMessage } from "../base/index.ts";
import { UnsupportedVersion } from "./codec.ts";
import {
  type GroupCoordinatorRecord,
  type GroupCoordinatorRecordInit,
  groupCoordinatorRecordTypes,
} from "./generated/group-coordinator-records.ts";
import { type MetadataRecord, type MetadataRecordInit, metadataRecordTypes } from "./generated/metadata-records.ts";
import {
  type RemoteLogRecord,
  type RemoteLogRecordInit,
  remoteLogRecordTypes,
} from "./generated/remote-log-records.ts";
import {
  type ShareCoordinatorRecord,
  type ShareCoordinatorRecordInit,
  shareCoordinatorRecordTypes,
} from "./generated/share-coordinator-records.ts";
import {
  type TransactionCoordinatorRecord,
  type TransactionCoordinatorRecordInit,
  transactionCoordinatorRecordTypes,
} from "./generated/transaction-coordinator-records.ts";

/** One type of record, as the generated tables list it. */
export interface RecordType {
  readonly key: number;
  readonly name: string;
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly decode: (reader: ByteReader, version: number) => object;
  readonly encode: (writer: ByteWriter, value: object, version: number) => void;
}

export interface CoordinatorRecordType {
  readonly key: number;
  readonly name: string;
  readonly keyType: RecordType;
  readonly valueType: RecordType;
}

/** The frame around a metadata record has had one version so far. */
const frameVersion = 1;

class RecordTable {
  private readonly byKey = new Map<number, RecordType>();
  private readonly byName = new Map<string, RecordType>();

  constructor(types: readonly RecordType[]) {
    for (const type of types) {
      this.byKey.set(type.key, type);
      this.byName.set(type.name, type);
    }
  }

  decode(bytes: Buffer): object {
    const reader = new ByteReader(bytes);
    const frame = reader.unsignedVarint();
    if (frame !== frameVersion) throw new MalformedMessage(`metadata record frame version ${frame}`);
    const key = reader.unsignedVarint();
    const version = reader.unsignedVarint();
    const type = this.byKey.get(key);
    if (type === undefined) throw new MalformedMessage(`metadata record type ${key}`);
    if (version > type.maxVersion) throw new MalformedMessage(`${type.name} version ${version}`);
    const value = type.decode(reader, version);
    if (reader.rest > 0) throw new MalformedMessage(`${type.name}: ${reader.rest} bytes too many`);
    return { type: type.name, version, value };
  }

  encode(record: { readonly type: string; readonly version: number; readonly value: object }): Buffer {
    const type = this.byName.get(record.type);
    if (type === undefined) throw new UnsupportedVersion(record.type, record.version);
    const writer = new ByteWriter(128);
    writer.unsignedVarint(frameVersion);
    writer.unsignedVarint(type.key);
    writer.unsignedVarint(record.version);
    type.encode(writer, record.value, record.version);
    return writer.finishContiguous();
  }
}

const metadataTable = new RecordTable(metadataRecordTypes);
const remoteLogTable = new RecordTable(remoteLogRecordTypes);

/** The value of a record of `__cluster_metadata` or of a snapshot of it (not of a control batch). */
export function decodeMetadataRecord(value: Buffer): MetadataRecord {
  return metadataTable.decode(value) as MetadataRecord;
}

export function encodeMetadataRecord(record: MetadataRecordInit): Buffer {
  return metadataTable.encode(record);
}

/** The value of a record of `__remote_log_metadata`. */
export function decodeRemoteLogRecord(value: Buffer): RemoteLogRecord {
  return remoteLogTable.decode(value) as RemoteLogRecord;
}

export function encodeRemoteLogRecord(record: RemoteLogRecordInit): Buffer {
  return remoteLogTable.encode(record);
}

/** A record's key and value as the log holds them. */
export interface EncodedRecord {
  readonly key: Buffer;
  readonly value: Buffer | null;
}

class CoordinatorTable<Decoded, Init extends CoordinatorInit> {
  private readonly byKey = new Map<number, CoordinatorRecordType>();
  private readonly byName = new Map<string, CoordinatorRecordType>();

  constructor(types: readonly CoordinatorRecordType[]) {
    for (const type of types) {
      this.byKey.set(type.key, type);
      this.byName.set(type.name, type);
    }
  }

  /** Null for a type that is not known: a newer node wrote it, and it is to be passed over. */
  decode(key: Buffer, value: Buffer | null): Decoded | null {
    const keyReader = new ByteReader(key);
    const type = this.byKey.get(keyReader.int16());
    if (type === undefined) return null;
    const decodedKey = type.keyType.decode(keyReader, 0);
    if (value === null) return { type: type.name, key: decodedKey, valueVersion: 0, value: null } as Decoded;
    const reader = new ByteReader(value);
    const valueVersion = reader.int16();
    if (valueVersion < type.valueType.minVersion || valueVersion > type.valueType.maxVersion) {
      throw new MalformedMessage(`${type.valueType.name} version ${valueVersion}`);
    }
    return {
      type: type.name,
      key: decodedKey,
      valueVersion,
      value: type.valueType.decode(reader, valueVersion),
    } as Decoded;
  }

  encode(record: Init): EncodedRecord {
    const type = this.byName.get(record.type);
    if (type === undefined) throw new UnsupportedVersion(record.type, record.valueVersion);
    const writer = new ByteWriter(256);
    writer.int16(type.key);
    type.keyType.encode(writer, record.key, 0);
    const key = writer.finishContiguous();
    if (record.value === null) return { key, value: null };
    writer.int16(record.valueVersion);
    type.valueType.encode(writer, record.value, record.valueVersion);
    return { key, value: writer.finishContiguous() };
  }
}

interface CoordinatorInit {
  readonly type: string;
  readonly key: object;
  readonly valueVersion: number;
  readonly value: object | null;
}

/** `__consumer_offsets`. */
export const groupCoordinatorRecords = new CoordinatorTable<GroupCoordinatorRecord, GroupCoordinatorRecordInit>(
  groupCoordinatorRecordTypes,
);
/** `__transaction_state`. */
export const transactionCoordinatorRecords = new CoordinatorTable<
  TransactionCoordinatorRecord,
  TransactionCoordinatorRecordInit
>(transactionCoordinatorRecordTypes);
/** `__share_group_state`. */
export const shareCoordinatorRecords = new CoordinatorTable<ShareCoordinatorRecord, ShareCoordinatorRecordInit>(
  shareCoordinatorRecordTypes,
);
