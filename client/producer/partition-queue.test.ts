// How far a partition runs ahead of its oldest unconfirmed batch: never past what a leader remembers of a producer (five batches).
import { expect, test } from "vitest";
import { ProducerBatch } from "./batch.ts";
import { PartitionQueue } from "./partition-queue.ts";

const identity = { producerId: 7, producerEpoch: 0 };

function batchOf(queue: PartitionQueue): ProducerBatch {
  const batch = new ProducerBatch({ topic: "t", partition: 0, order: queue.nextOrder() }, null, 0, 0);
  batch.isClosed = true;
  batch.recordCount = 1;
  return batch;
}

test("batches that follow one whose fate is unknown stop before its repeat would be forgotten", () => {
  const queue = new PartitionQueue("t", 0);
  for (let index = 0; index < 12; index++) queue.putBack(batchOf(queue));
  const lost = queue.take(identity).batch;
  // The next leader confirms what follows, one after the other.
  let confirmed = 0;
  while (queue.mayGo(identity)) {
    const { batch } = queue.take(identity);
    queue.leftWire(batch);
    queue.acknowledged(batch);
    confirmed++;
  }
  expect(confirmed).toBe(4);
  // Its request has ended at last: it goes again, alone and before all others, and then they go on.
  queue.leftWire(lost);
  queue.putBack(lost);
  expect(queue.take(identity).batch).toBe(lost);
  expect(lost.baseSequence).toBe(0);
  queue.leftWire(lost);
  queue.acknowledged(lost);
  expect(queue.mayGo(identity)).toBe(true);
  expect(queue.take(identity).batch.baseSequence).toBe(5);
});
