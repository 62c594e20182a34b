// Control records: what a broker or the quorum writes between the records of clients. The key says the type; the bodies of all but the
// end-transaction marker are messages of core/protocol and are decoded there. Allocates only in the writers.

/** By their number in the key. A number that is not here is one of a later Kafka and is passed over. */
export const controlRecordTypes = {
  abort: 0,
  commit: 1,
  leaderChange: 2,
  snapshotHeader: 3,
  snapshotFooter: 4,
  kraftVersion: 5,
  kraftVoters: 6,
} as const;

export type ControlRecordType = keyof typeof controlRecordTypes;

const typeNames: readonly ControlRecordType[] = [
  "abort",
  "commit",
  "leaderChange",
  "snapshotHeader",
  "snapshotFooter",
  "kraftVersion",
  "kraftVoters",
];

export const controlKeyBytes = 4;
const controlKeyVersion = 0;
const endTxnMarkerVersion = 0;
const endTxnMarkerBytes = 6;

export interface ControlKey {
  readonly version: number;
  /** The number as it stands. */
  readonly typeId: number;
  /** Null for a type of a later Kafka. */
  readonly type: ControlRecordType | null;
}

/** Null where the bytes cannot be a control record's key: shorter than 4 bytes, or a negative version. Later versions may be longer. */
export function parseControlKey(
  bytes: Buffer,
  position = 0,
  length: number = bytes.length - position,
): ControlKey | null {
  if (length < controlKeyBytes) return null;
  const version = bytes.readInt16BE(position);
  if (version < 0) return null;
  const typeId = bytes.readInt16BE(position + 2);
  return { version, typeId, type: typeNames[typeId] ?? null };
}

/** The key of a control record: version 0 and the type. */
export function controlKey(type: ControlRecordType): Buffer {
  const key = Buffer.allocUnsafe(controlKeyBytes);
  key.writeInt16BE(controlKeyVersion, 0);
  key.writeInt16BE(controlRecordTypes[type], 2);
  return key;
}

/** The value of a commit or abort marker. */
export interface EndTxnMarker {
  readonly version: number;
  /** The transaction coordinator's epoch: a marker of an older one is refused. */
  readonly coordinatorEpoch: number;
}

/** Null where the bytes cannot be a marker's value. What a later version appends is passed over. */
export function parseEndTxnMarker(
  bytes: Buffer,
  position = 0,
  length: number = bytes.length - position,
): EndTxnMarker | null {
  if (length < endTxnMarkerBytes) return null;
  const version = bytes.readInt16BE(position);
  if (version < 0) return null;
  return { version, coordinatorEpoch: bytes.readInt32BE(position + 2) };
}

export function endTxnMarkerValue(coordinatorEpoch: number): Buffer {
  const value = Buffer.allocUnsafe(endTxnMarkerBytes);
  value.writeInt16BE(endTxnMarkerVersion, 0);
  value.writeInt32BE(coordinatorEpoch, 2);
  return value;
}
