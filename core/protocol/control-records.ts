// Control records: markers inside a log that clients never see. The key names the type; the value is the type's message after its version
// for transaction markers, and the message itself for those of the quorum. Decoded bytes are views of the input.
import { ByteReader, ByteWriter, MalformedMessage } from "../base/index.ts";
import { type ControlRecordType, controlKey, parseControlKey } from "../model/index.ts";
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

const keyTypes = {
  Abort: "abort",
  Commit: "commit",
  LeaderChange: "leaderChange",
  SnapshotHeader: "snapshotHeader",
  SnapshotFooter: "snapshotFooter",
  KRaftVersion: "kraftVersion",
  Voters: "kraftVoters",
} as const satisfies Record<ControlRecordInit["type"], ControlRecordType>;

/** Throws MalformedMessage. */
export function decodeControlRecord(key: Buffer, value: Buffer): ControlRecord {
  const parsed = parseControlKey(key);
  if (parsed === null) throw new MalformedMessage("control record key");
  const reader = new ByteReader(value);
  switch (parsed.type) {
    case "abort":
    case "commit": {
      const version = reader.int16();
      if (version < 0) throw new MalformedMessage(`transaction marker version ${version}`);
      return { type: parsed.type === "abort" ? "Abort" : "Commit", value: decodeEndTxnMarker(reader, 0) };
    }
    case "leaderChange":
      return { type: "LeaderChange", value: decodeLeaderChangeMessage(reader, versionWithin(value, 1)) };
    case "snapshotHeader":
      return { type: "SnapshotHeader", value: decodeSnapshotHeaderRecord(reader, versionWithin(value, 0)) };
    case "snapshotFooter":
      return { type: "SnapshotFooter", value: decodeSnapshotFooterRecord(reader, versionWithin(value, 0)) };
    case "kraftVersion":
      return { type: "KRaftVersion", value: decodeKRaftVersionRecord(reader, versionWithin(value, 0)) };
    case "kraftVoters":
      return { type: "Voters", value: decodeVotersRecord(reader, versionWithin(value, 0)) };
    default:
      return { type: "Unknown", key: parsed.typeId };
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
  return { key: controlKey(keyTypes[record.type]), value: writer.finishContiguous() };
}
