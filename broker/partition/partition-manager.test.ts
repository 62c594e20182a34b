// A large change of the metadata is taken up in slices: nobody else waits for it, and what is deleted meanwhile does not come back.
import type { Clock } from "@blumfeld/core/base";
import { systemClock } from "@blumfeld/host/process";
import { afterEach, describe, expect, it } from "vitest";
import { BrokerFixture } from "../fixture/broker-fixture.ts";
import { openingMsMax } from "./partition-manager.ts";

/** Each look at the clock finds time gone: a slice ends after a few partitions, however fast the machine is. */
function tickingClock(stepMs: number): Clock & { isTicking: boolean } {
  let aheadMs = 0;
  return {
    isTicking: false,
    wallMs: () => systemClock.wallMs(),
    monotonicMs() {
      if (this.isTicking) aheadMs += stepMs;
      return systemClock.monotonicMs() + aheadMs;
    },
  };
}

describe("PartitionManager", () => {
  let fixture: BrokerFixture | null = null;
  afterEach(async () => {
    await fixture?.stop();
    fixture = null;
  });

  function openCount(topic: string, partitionCount: number): number {
    const { partitions } = fixture!.broker.parts;
    let count = 0;
    for (let index = 0; index < partitionCount; index++) if (partitions.get(topic, index) !== null) count++;
    return count;
  }

  it("opens the logs of a small change at once", async () => {
    fixture = await BrokerFixture.start();
    fixture.createTopic({ name: "small", partitionCount: 3 });
    expect(openCount("small", 3)).toBe(3);
  });

  it("opens the logs of a large change over several turns, in order, and all of them", async () => {
    const clock = tickingClock(openingMsMax / 5);
    fixture = await BrokerFixture.start({ clock });
    clock.isTicking = true;
    fixture.createTopic({ name: "large", partitionCount: 60 });
    const first = openCount("large", 60);
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(60);
    const seen = [first];
    while (openCount("large", 60) < 60) {
      await new Promise((wake) => setTimeout(wake, 1));
      seen.push(openCount("large", 60));
      // Opened from the front: none is open behind one that is not.
      const open = seen[seen.length - 1]!;
      if (open < 60) expect(fixture.broker.parts.partitions.get("large", open)).toBeNull();
    }
    expect(new Set(seen).size).toBeGreaterThan(3);
  });

  it("does not open what was deleted while it waited", async () => {
    const clock = tickingClock(openingMsMax / 5);
    fixture = await BrokerFixture.start({ clock });
    clock.isTicking = true;
    const topicId = fixture.createTopic({ name: "gone", partitionCount: 60 });
    fixture.apply([{ type: "RemoveTopicRecord", version: 0, value: { topicId } }]);
    fixture.createTopic({ name: "after", partitionCount: 30 });
    while (openCount("after", 30) < 30) await new Promise((wake) => setTimeout(wake, 1));
    expect(openCount("gone", 60)).toBe(0);
    expect([...fixture.broker.parts.partitions.all()].every((partition) => partition.topic === "after")).toBe(true);
  });
});
