// Feeds records to an image in the order of the log. Keeps the records of a metadata transaction back until it ends (KIP-868): readers
// of the image see all of it or nothing.
import { assert } from "../../base/index.ts";
import type { MetadataRecord } from "../../protocol/index.ts";
import type { MetadataDelta } from "./metadata-delta.ts";
import type { MetadataImage } from "./metadata-image.ts";

export class MetadataReplayer {
  readonly image: MetadataImage;
  /** Null outside of a transaction. */
  private heldBack: MetadataRecord[] | null = null;

  /** `isInTransaction`: one has begun, and what it holds does not matter, because it will be aborted. */
  constructor(image: MetadataImage, isInTransaction = false) {
    this.image = image;
    if (isInTransaction) this.heldBack = [];
  }

  get isInTransaction(): boolean {
    return this.heldBack !== null;
  }

  replay(record: MetadataRecord, offset: number, epoch: number, delta: MetadataDelta): void {
    const { image } = this;
    switch (record.type) {
      case "BeginTransactionRecord":
        assert(this.heldBack === null, `a metadata transaction begins at offset ${offset} inside another one`);
        this.heldBack = [];
        break;
      case "EndTransactionRecord": {
        assert(this.heldBack !== null, `a metadata transaction ends at offset ${offset} without having begun`);
        const records = this.heldBack;
        this.heldBack = null;
        for (const held of records) image.replay(held, delta);
        break;
      }
      case "AbortTransactionRecord":
        assert(this.heldBack !== null, `a metadata transaction is aborted at offset ${offset} without having begun`);
        this.heldBack = null;
        break;
      default:
        if (this.heldBack !== null) this.heldBack.push(record);
        else image.replay(record, delta);
    }
    image.highestOffset = offset;
    image.highestEpoch = epoch;
  }
}
