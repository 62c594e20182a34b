// What the run, its broker and its copiers agree on. Given to processes as JSON on their command line.

export const topicIn = "copy-in";
export const topicOut = "copy-out";
export const groupId = "copiers";

export interface CopierPlan {
  readonly bootstrapServers: string;
  /** Which copier: its transactional id survives its process. */
  readonly index: number;
  readonly seed: number;
  /** A copier whose process is paused for longer is put out of its group, and is a zombie afterwards. */
  readonly sessionTimeoutMs: number;
  readonly groupProtocol: "classic" | "consumer";
  /** Messages of a transaction at most. */
  readonly messagesMax: number;
}

export interface BrokerPlan {
  readonly dataDirectory: string;
  readonly port: number;
}

/** The value of the record number `sequence` of its partition. */
export function textOf(sequence: number): string {
  return `r${sequence}`;
}

/** What a copier makes of it. */
export function transformed(value: string): string {
  return `${value}/copied`;
}
