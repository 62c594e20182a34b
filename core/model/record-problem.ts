// The ways in which the records of a batch fail to be records.

export type RecordProblemCode =
  /** The header counts fewer than no records. */
  | "count-negative"
  /** The bytes end before the records that the header counts. */
  | "records-missing"
  /** Bytes are left after the records that the header counts. */
  | "bytes-left-over"
  /** A varint that does not end within its five or ten bytes, or within its record. */
  | "varint-malformed"
  /** A record's length is less than a record has, or reaches past the bytes there are. */
  | "record-length-invalid"
  /** A record's fields end before or after its length says. */
  | "record-length-lies"
  /** A key reaches past the record's end. */
  | "key-length-invalid"
  /** A value reaches past the record's end. */
  | "value-length-invalid"
  /** A negative header count, or one above what the record's bytes can hold. */
  | "header-count-invalid"
  /** A header's key is null. */
  | "header-key-null"
  /** A header's key or value reaches past the record's end. */
  | "header-length-invalid"
  /** A timestamp past 2^53. */
  | "timestamp-out-of-range";

/** What is wrong, with which record (from 0), and where in the record bytes it was noticed. */
export class RecordProblem {
  readonly code: RecordProblemCode;
  readonly recordIndex: number;
  readonly position: number;

  constructor(code: RecordProblemCode, recordIndex: number, position: number) {
    this.code = code;
    this.recordIndex = recordIndex;
    this.position = position;
  }

  toString(): string {
    return `${this.code} at record ${this.recordIndex}, byte ${this.position}`;
  }
}

/** A RecordProblem for those who iterate and cannot take a returned union. */
export class MalformedRecords extends Error {
  override name = "MalformedRecords";
  readonly problem: RecordProblem;
  constructor(problem: RecordProblem) {
    super(problem.toString());
    this.problem = problem;
  }
}
