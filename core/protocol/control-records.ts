// Control records: markers inside a log that clients never see. The key names the type; the value is the type's message after its version
// for transaction markers, and the message itself for those of the quorum. Decoded bytes are views of the input.
import { ByteReader, ByteWriter, MalformedMessage } from "../base/index.ts";
import {
  decodeEndTxnMarker,
  decodeKRaftVersionRecord,
  decodeLeaderChangeMessage,
  decodeSnapshotFooterRecord,
  decodeSnapshotHeaderRecord,
  decodeVotersRecord,
  type EndTxnMarker,
  type EndTxnMarkerInit,
  encodeEndTxnMarker,
  encodeKRaftVersionRecord,
  encodeLeaderChangeMessage,
  encodeSnapshotFooterRecord,
  encodeSnapshotHeaderRecord,
  encodeVotersRecord,
  type KRaftVersionRecord,
  type KRaftVersionRecordInit,
  type LeaderChangeMessage,
  type LeaderChangeMessageInit,
  type SnapshotFooterRecord,
  type SnapshotFooterRecordInit,
  type SnapshotHeaderRecord,
  type SnapshotHeaderRecordInit,
  type VotersRecord,
  type VotersRecordInit,
} from "./generated/data/control-record.ts";

export const ControlRecordKey = {
  Abort: 0,
  Commit: 1,
  LeaderChange: 2,
  SnapshotHeader: 3,
  SnapshotFooter: 4,
  KRaftVersion: 5,
  Voters: 6,
} as const;

export type ControlRecord =
  | { readonly type: "Abort" | "Commit"; readonly value: EndTxnMarker }
  | { readonly type: "LeaderChange"; readonly value: LeaderChangeMessage }
  | { readonly type: "SnapshotHeader"; readonly value: SnapshotHeaderRecord }
  | { readonly type: "SnapshotFooter"; readonly value: SnapshotFooterRecord }
  | { readonly type: "KRaftVersion"; readonly value: KRaftVersionRecord }
  | { readonly type: "Voters"; readonly value: VotersRecord }
  /** A type of a newer node, to be passed over. */
  | { readonly type: "Unknown"; readonly key: number };

export type ControlRecordInit =
  | { readonly type: "Abort" | "Commit"; readonly value: EndTxnMarkerInit }
  | { readonly type: "LeaderChange"; readonly value: LeaderChangeMessageInit }
  | { readonly type: "SnapshotHeader"; readonly value: SnapshotHeaderRecordInit }
  | { readonly type: "SnapshotFooter"; readonly value: SnapshotFooterRecordInit }
  | { readonly type: "KRaftVersion"; readonly value: KRaftVersionRecordInit }
  | { readonly type: "Voters"; readonly value: VotersRecordInit };

/** The key's version, and that of a transaction marker. */
const keyVersion = 0;

/** The type number in a control record's key. Throws MalformedMessage. */
export function readControlRecordKey(key: Buffer): number {
  const reader = new ByteReader(key);
  const version = reader.int16();
  if (version < keyVersion) throw new MalformedMessage(`control record key version ${version}`);
  return reader.int16();
}

export function writeControlRecordKey(type: ControlRecordInit["type"]): Buffer {
  const writer = new ByteWriter(4);
  writer.int16(keyVersion);
  writer.int16(ControlRecordKey[type]);
  return writer.finishContiguous();
}

/** Throws MalformedMessage. */
export function decodeControlRecord(key: Buffer, value: Buffer): ControlRecord {
  const type = readControlRecordKey(key);
  const reader = new ByteReader(value);
  switch (type) {
    case ControlRecordKey.Abort:
    case ControlRecordKey.Commit: {
      const version = reader.int16();
      if (version < 0) throw new MalformedMessage(`transaction marker version ${version}`);
      return { type: type === ControlRecordKey.Abort ? "Abort" : "Commit", value: decodeEndTxnMarker(reader, 0) };
    }
    case ControlRecordKey.LeaderChange:
      return { type: "LeaderChange", value: decodeLeaderChangeMessage(reader, versionWithin(value, 1)) };
    case ControlRecordKey.SnapshotHeader:
      return { type: "SnapshotHeader", value: decodeSnapshotHeaderRecord(reader, versionWithin(value, 0)) };
    case ControlRecordKey.SnapshotFooter:
      return { type: "SnapshotFooter", value: decodeSnapshotFooterRecord(reader, versionWithin(value, 0)) };
    case ControlRecordKey.KRaftVersion:
      return { type: "KRaftVersion", value: decodeKRaftVersionRecord(reader, versionWithin(value, 0)) };
    case ControlRecordKey.Voters:
      return { type: "Voters", value: decodeVotersRecord(reader, versionWithin(value, 0)) };
    default:
      return { type: "Unknown", key: type };
  }
}

/** The quorum's messages begin with their version as a field; a newer one is read as the newest known. */
function versionWithin(value: Buffer, versionMax: number): number {
  const version = new ByteReader(value).int16();
  if (version < 0) throw new MalformedMessage(`control record version ${version}`);
  return Math.min(version, versionMax);
}

/** Key and value as the log holds them. The quorum's messages are written in the version that their own field names. */
export function encodeControlRecord(record: ControlRecordInit): { readonly key: Buffer; readonly value: Buffer } {
  const writer = new ByteWriter(64);
  switch (record.type) {
    case "Abort":
    case "Commit":
      writer.int16(0);
      encodeEndTxnMarker(writer, record.value, 0);
      break;
    case "LeaderChange":
      encodeLeaderChangeMessage(writer, record.value, record.value.version);
      break;
    case "SnapshotHeader":
      encodeSnapshotHeaderRecord(writer, record.value, record.value.version);
      break;
    case "SnapshotFooter":
      encodeSnapshotFooterRecord(writer, record.value, record.value.version);
      break;
    case "KRaftVersion":
      encodeKRaftVersionRecord(writer, record.value, record.value.version);
      break;
    case "Voters":
      encodeVotersRecord(writer, record.value, record.value.version);
      break;
  }
  return { key: writeControlRecordKey(record.type), value: writer.finishContiguous() };
}
