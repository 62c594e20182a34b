// What every decision is made of, and what it gives: the records to write and the answer to give once they are committed. A decision reads
// the image and changes nothing; it is replayed like any other record.
import type { Random } from "../../base/index.ts";
import type { BrokerSettings } from "../../model/settings/index.ts";
import type { ErrorCode, MetadataRecordInit } from "../../protocol/index.ts";
import type { MetadataImage, SupportedRange } from "../image/index.ts";

export interface DecideContext {
  /** With every record that was decided before this one, committed or not. */
  readonly image: MetadataImage;
  /** Of the node that decides: defaults of new topics, and what topics inherit. */
  readonly settings: BrokerSettings;
  /** What this node's code supports, by feature. */
  readonly supportedFeatures: ReadonlyMap<string, SupportedRange>;
  readonly nodeId: number;
  readonly clusterId: string;
  /** The finalized kraft.version. */
  readonly kraftVersion: number;
  readonly random: Random;
  readonly nowMs: number;
  /** What the first record of this decision will have. */
  readonly nextOffset: number;
}

export interface Decision<Answer> {
  readonly records: readonly MetadataRecordInit[];
  readonly answer: Answer;
}

/** One item refused. `message` is for people; clients act on the code. */
export interface Refusal {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string | null;
}

export function refusal(errorCode: ErrorCode, errorMessage: string | null): Refusal {
  return { errorCode, errorMessage };
}

/** A whole request refused: the API's own shape of that is its caller's affair. */
export class DecisionRefused extends Error {
  override name = "DecisionRefused";
  readonly errorCode: ErrorCode;
  constructor(errorCode: ErrorCode, message: string) {
    super(message);
    this.errorCode = errorCode;
  }
}

export function decisionOf<Answer>(answer: Answer, records: readonly MetadataRecordInit[] = []): Decision<Answer> {
  return { records, answer };
}
