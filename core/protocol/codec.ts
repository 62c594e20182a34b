// What the generated codecs share.

/** Stands for absent bytes; nobody can write into it, having no length. */
export const bufferEmpty: Buffer = Buffer.alloc(0);

export function isEmptyRecords(records: Buffer | readonly Buffer[]): boolean {
  return Buffer.isBuffer(records) ? records.length === 0 : records.every((piece) => piece.length === 0);
}

/**
 * A message has no such version, or the version cannot carry the value that was given: a field that it lacks, or null where it
 * has none. As Kafka's UnsupportedVersionException; whoever chose the version has to choose another or leave the value out.
 */
export class UnsupportedVersion extends Error {
  override name = "UnsupportedVersion";
  readonly messageName: string;
  readonly version: number;
  readonly field: string | null;
  constructor(messageName: string, version: number, field: string | null = null, value: "null" | null = null) {
    const what =
      field === null ? "there is no such version" : value === null ? `no field ${field}` : `${field} cannot be null`;
    super(`${messageName} version ${version}: ${what}`);
    this.messageName = messageName;
    this.version = version;
    this.field = field;
  }
}
