// Random schedules of transactional producers: two ids, each with a producer after the other, none of which knows that it was followed. Their
// requests are late, answers are lost, appends are refused, the coordinator moves and the partitions' logs are opened anew. Whatever happens:
//
//   - a record of an aborted or open transaction is never read by readers of committed records, every committed one is, in its place
//   - no write of a producer that was followed is committed
//   - a transaction ends one way in all its partitions, and as its producer was told
import { seededRandom } from "@blumfeld/core/base";
import { WorldProducer } from "./producer.ts";
import { partitionCount, TransactionWorld, transactionTimeoutMs } from "./world.ts";

type Random = ReturnType<typeof seededRandom>;
export type Version = 1 | 2 | "two-phase" | "mixed";

const ids = ["a", "b"];
const stepsMin = 15;
const stepsSpread = 45;
const drainRoundsMax = 200;

class Run {
  private readonly world = new TransactionWorld();
  private readonly random: Random;
  private readonly version: Version;
  /** The newest last. */
  private readonly producers = new Map<string, WorldProducer[]>(ids.map((id) => [id, []]));
  private valueCount = 0;

  constructor(seed: number, version: Version) {
    this.random = seededRandom(seed);
    this.version = version;
  }

  play(): void {
    const count = stepsMin + this.random.below(stepsSpread);
    for (let step = 0; step < count; step++) {
      this.step();
      if (this.random.below(4) === 0) this.world.hold();
    }
    this.drain();
    this.world.hold();
    for (const partition of this.world.partitions) {
      partition.holdReaders(0, 1 << 20);
      partition.holdReaders(this.random.fraction(), 200);
    }
    this.world.holdOutcomes();
  }

  private chance(one: number, of: number): boolean {
    return this.random.below(of) < one;
  }

  private step(): void {
    const { random, world } = this;
    const kind = random.below(100);
    if (kind < 12) return this.begin();
    if (kind < 45) return this.write();
    if (kind < 63) return this.end();
    if (kind < 80) return world.sendMarker(random.below(4), this.chance(1, 8));
    if (kind < 86) return this.deliver();
    if (kind < 89) return world.writePlain(random.below(partitionCount), this.value());
    if (kind < 91) return world.refuse();
    if (kind < 93) return world.reload(this.chance(1, 2));
    if (kind < 95) return world.partitions[random.below(partitionCount)]!.restart(this.chance(1, 2));
    if (kind < 96)
      return this.chance(1, 2) ? this.someone()?.age() : world.partitions[random.below(partitionCount)]!.roll();
    if (kind < 98)
      return world.partitions[random.below(partitionCount)]!.holdReaders(random.fraction(), 1 + random.below(400));
    return world.pass([1000, transactionTimeoutMs + 10_000, 1_500_000][random.below(3)]!, ids);
  }

  private begin(): void {
    const id = ids[this.random.below(ids.length)]!;
    const list = this.producers.get(id)!;
    const last = list.at(-1);
    const isTwoPhase = this.version === "two-phase";
    // One that was not let in yet, or needs a new epoch, asks again; else another begins beside it.
    const again = last !== undefined && !last.isFollowed && !last.canWrite && this.chance(2, 3);
    const producer = again ? last : new WorldProducer(this.world, id, this.versionNumber(), isTwoPhase);
    if (!again) list.push(producer);
    producer.init(isTwoPhase && this.chance(1, 2));
  }

  private versionNumber(): number {
    if (this.version === "mixed") return this.chance(1, 2) ? 0 : 2;
    return this.version === 1 ? 0 : 2;
  }

  /** Mostly the newest; now and then one that was followed. */
  private someone(): WorldProducer | undefined {
    const list = this.producers.get(ids[this.random.below(ids.length)]!)!;
    return this.chance(1, 4) ? list[this.random.below(Math.max(1, list.length))] : list.at(-1);
  }

  private write(): void {
    this.someone()?.write(this.random.below(partitionCount), this.value(), this.chance(1, 8));
  }

  private end(): void {
    this.someone()?.end(this.chance(2, 3), this.chance(1, 6));
  }

  private deliver(): void {
    const { late } = this.world;
    if (late.length > 0) late.splice(this.random.below(late.length), 1)[0]!();
  }

  private value(): string {
    return `v${this.valueCount++}`;
  }

  /** Lets everything come to its end: what is late comes, what is decided is completed, what is open times out or is taken from its producer. */
  private drain(): void {
    const { world } = this;
    for (let round = 0; round < drainRoundsMax; round++) {
      while (world.late.length > 0) this.deliver();
      for (let sent = 0; world.hasMarkers && sent < 100; sent++) world.sendMarker(this.random.below(4), false);
      const isOpen = ids.filter((id) => world.openOf(id) !== null);
      if (isOpen.length === 0 && !world.hasMarkers && world.late.length === 0) return;
      for (const id of isOpen) new WorldProducer(world, id, 2, false).init(false);
    }
    throw new Error("the schedule comes to no end");
  }
}

export function transactionSchedule(version: Version): (seed: number) => void {
  return (seed) => new Run(seed, version).play();
}
