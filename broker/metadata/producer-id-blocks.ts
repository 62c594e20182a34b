// Producer ids one by one, from blocks of a thousand that the controller gives. One request for a block at a time; those who come
// meanwhile wait for it. Ids of a block that is not used up are lost with the process, as in Kafka.
import { assert } from "@blumfeld/core/base";

export interface ProducerIdBlock {
  readonly first: bigint;
  readonly count: number;
}

export class ProducerIdBlocks {
  private readonly allocate: () => Promise<ProducerIdBlock>;
  private nextId = 0n;
  private endId = 0n;
  private allocating: Promise<void> | null = null;

  constructor(allocate: () => Promise<ProducerIdBlock>) {
    this.allocate = allocate;
  }

  /** At once where the block has ids left. */
  next(): bigint | Promise<bigint> {
    return this.nextId < this.endId ? this.nextId++ : this.nextLater();
  }

  private async nextLater(): Promise<bigint> {
    while (this.nextId >= this.endId) {
      this.allocating ??= this.takeBlock().finally(() => {
        this.allocating = null;
      });
      await this.allocating;
    }
    return this.nextId++;
  }

  private async takeBlock(): Promise<void> {
    const { first, count } = await this.allocate();
    assert(count > 0, "a block of producer ids has ids");
    this.nextId = first;
    this.endId = first + BigInt(count);
  }
}
