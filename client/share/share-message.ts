// A message of a share group: acquired by this member for a time, and to be accepted, released or rejected within it.
import type { RecordCursor } from "@blumfeld/core/model";
import { Message } from "../consumer/message.ts";

/** Who takes the acknowledgements. */
export interface Acknowledger {
  acknowledge(message: ShareMessage, type: "accept" | "release" | "reject"): void;
  renew(message: ShareMessage): Promise<void>;
}

export class ShareMessage extends Message {
  /** How often it has been delivered to a member, this time included. */
  readonly deliveryCount: number;
  readonly #acknowledger: Acknowledger;

  constructor(
    where: { readonly topic: string; readonly partition: number },
    cursor: RecordCursor,
    deliveryCount: number,
    acknowledger: Acknowledger,
  ) {
    super(where.topic, where.partition, cursor);
    this.deliveryCount = deliveryCount;
    this.#acknowledger = acknowledger;
  }

  /** It is done. Sent with the next fetch, `commit` or `close`. Throws where something was said of it before. */
  accept(): void {
    this.#acknowledger.acknowledge(this, "accept");
  }

  /** It may be delivered again, to any member. */
  release(): void {
    this.#acknowledger.acknowledge(this, "release");
  }

  /** It cannot be handled, by no one: it is not delivered again. */
  reject(): void {
    this.#acknowledger.acknowledge(this, "reject");
  }

  /** Takes the acquisition lock anew, for work that takes longer (KIP-1222). Rejects where the lock is lost, or the broker knows no renewal. */
  renew(): Promise<void> {
    return this.#acknowledger.renew(this);
  }
}
