// Random schedules of producers that share a few transactional ids, held to a slow model of what may be: who owns an id, which transaction of it is
// open, how each was decided. After every step a fresh replay of the log must give the same state; what a refused append decided must be gone.
import fc from "fast-check";
import { expect, it } from "vitest";
import { ErrorCode } from "../../protocol/index.ts";
import { TestTransactions } from "./fixture/test-transactions.ts";
import { isEpochExhausted, noProducerEpoch, type Transaction, transactionValue } from "./transaction.ts";

const ids = ["a", "b"];
const runs = Number(process.env.BLUMFELD_PROPERTY_RUNS ?? 300);

type Step =
  | { readonly kind: "init"; readonly id: number; readonly isAgain: boolean; readonly keeps: boolean }
  | { readonly kind: "add"; readonly id: number; readonly partition: number; readonly isZombie: boolean }
  | {
      readonly kind: "end";
      readonly id: number;
      readonly isCommit: boolean;
      readonly version: number;
      readonly isZombie: boolean;
    }
  | { readonly kind: "markers" | "reload" | "refuse" }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "age"; readonly id: number };

const id = fc.nat(ids.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("init" as const), id, isAgain: fc.boolean(), keeps: fc.boolean() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("add" as const), id, partition: fc.nat(3), isZombie: fc.boolean() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      id,
      isCommit: fc.boolean(),
      version: fc.constantFrom(0, 2),
      isZombie: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom("markers" as const, "reload" as const, "refuse" as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(1000, 70_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("age" as const), id }) },
);

interface Producer {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

/** What is known of an id from outside: the producers that were let in, the newest last, and the partitions of its open transaction. */
interface Known {
  producers: Producer[];
  open: Set<number>;
}

class World {
  test = TestTransactions.empty({ isTwoPhaseCommitEnabled: true });
  readonly known = new Map<string, Known>(ids.map((name) => [name, { producers: [], open: new Set() }]));
  private isRefusing = false;

  run(steps: readonly Step[]): void {
    for (const one of steps) {
      const before = this.states();
      const refusing = this.isRefusing;
      this.test.refusing = refusing ? ErrorCode.NOT_ENOUGH_REPLICAS : null;
      this.isRefusing = false;
      this.apply(one);
      this.test.refusing = null;
      if (refusing && one.kind !== "reload" && one.kind !== "refuse" && one.kind !== "pass")
        expect(this.states(), "a refused append leaves nothing").toEqual(before);
      this.holdInvariants();
    }
  }

  private apply(one: Step): void {
    switch (one.kind) {
      case "init":
        return this.init(one);
      case "add":
        return this.add(one);
      case "end":
        return this.end(one);
      case "markers":
        this.test.completeOne();
        return;
      case "reload":
        this.test.runtime.close();
        this.test = this.test.reloaded();
        return;
      case "refuse":
        this.isRefusing = true;
        return;
      case "pass":
        this.test.pass(one.ms);
        for (const name of ids) if (this.transaction(name)?.state !== "Ongoing") this.known.get(name)!.open.clear();
        return;
      case "age":
        return this.age(ids[one.id]!);
    }
  }

  private transaction(name: string): Transaction | undefined {
    return this.test.shard.transaction(name);
  }

  private init({ id, isAgain, keeps }: Extract<Step, { kind: "init" }>): void {
    const name = ids[id]!;
    const known = this.known.get(name)!;
    const before = this.transaction(name);
    const expected = isAgain ? (known.producers.at(-1) ?? null) : null;
    const answer = this.test.decideWithId(
      (freshProducerId) => (shard, nowMs) =>
        shard.initProducer(
          {
            ...{ transactionalId: name, timeoutMs: 60_000, expected, freshProducerId },
            ...{ isTwoPhaseCommit: false, keepsPrepared: keeps },
          },
          nowMs,
        ),
    );
    if (!("kind" in answer)) return expect(answer.errorCode).toBe(ErrorCode.NOT_ENOUGH_REPLICAS);
    if (answer.kind === "producer" && answer.kept !== undefined) {
      expect(keeps && before?.state === "Ongoing").toBe(true);
      expect(answer.kept).toEqual({ producerId: before!.producerId, producerEpoch: before!.producerEpoch });
      known.producers.push(answer);
      expect(this.transaction(name)!.partitions).toEqual(before!.partitions);
      return;
    }
    if (answer.kind === "producer") {
      expect(["Ongoing", "PrepareCommit", "PrepareAbort"]).not.toContain(before?.state);
      known.producers.push(answer);
      expect(this.transaction(name)).toMatchObject({ ...answerOf(answer), state: "Empty", partitions: new Map() });
      return;
    }
    // An open transaction is aborted, its producer fenced, before another is let in.
    if (before?.state === "Ongoing") {
      expect(answer).toMatchObject({ kind: "refused" });
      if (this.transaction(name)!.state === "PrepareAbort") known.open.clear();
    }
  }

  private add({ id, isZombie, partition }: Extract<Step, { kind: "add" }>): void {
    const name = ids[id]!;
    const known = this.known.get(name)!;
    const producer = isZombie ? known.producers.at(-2) : known.producers.at(-1);
    if (producer === undefined) return;
    const before = this.transaction(name)!;
    const partitions = new Map([["t", [partition]]]);
    const ask = { transactionalId: name, ...answerOf(producer), partitions, clientVersion: 2 };
    const code = this.test.decide((shard, nowMs) => shard.addPartitions(ask, nowMs));
    const isOwner = isOwnedBy(before, producer);
    if (code !== ErrorCode.NONE) {
      if (isOwner && typeof code === "number" && before.nextProducerEpoch < 0) expect(before.state).toMatch(/^Prepare/);
      return;
    }
    expect(before.nextProducerEpoch, "nothing is added to what was prepared").toBe(-1);
    expect(isOwner, "no zombie adds to a transaction").toBe(true);
    known.open.add(partition);
  }

  private end({ id, isCommit, isZombie, version }: Extract<Step, { kind: "end" }>): void {
    const name = ids[id]!;
    const known = this.known.get(name)!;
    const producer = isZombie ? known.producers.at(-2) : known.producers.at(-1);
    if (producer === undefined) return;
    const before = this.transaction(name)!;
    const isOwner = isOwnedBy(before, producer);
    const answer = this.test.decideWithId(
      (freshProducerId) => (shard, nowMs) =>
        shard.endTransaction(
          { transactionalId: name, ...answerOf(producer), isCommit, clientVersion: version, freshProducerId },
          nowMs,
        ),
    );
    if (!("kind" in answer) || answer.kind !== "producer") return;
    const after = this.transaction(name)!;
    if (after === before) return;
    expect(isOwner, "no zombie decides a transaction").toBe(true);
    expect(after.state).toBe(isCommit ? "PrepareCommit" : "PrepareAbort");
    if (isCommit) expect(before.state, "only what is open is committed").toBe("Ongoing");
    expect([...(after.partitions.get("t") ?? [])].sort()).toEqual([...known.open].sort());
    known.open.clear();
    // The markers are above all that the transaction's writer sent, or of its own epoch where its client knows no other.
    const isRaised = version === 2 || before.nextProducerEpoch >= 0;
    expect(after.producerId).toBe(before.producerId);
    expect(after.producerEpoch > before.producerEpoch).toBe(isRaised);
    if (version === 2) known.producers.push(answer);
  }

  /** As if the id had had thirty thousand transactions: its epochs run out. */
  private age(name: string): void {
    const before = this.transaction(name);
    if (before === undefined || before.state === "Ongoing" || before.state.startsWith("Prepare")) return;
    if (isEpochExhausted(before.producerEpoch)) return;
    const aged = { ...before, producerEpoch: 32_766, lastProducerEpoch: noProducerEpoch };
    const outcome = this.test.decide<null>(() => ({
      records: [{ transactionalId: name, transaction: aged }],
      answer: null,
    }));
    if (outcome === null) this.known.get(name)!.producers.push(aged);
  }

  /** All that the records hold. */
  states(test = this.test): unknown[] {
    return [...test.shard.transactions]
      .map((one) => ({ id: one.transactionalId, ...transactionValue(one) }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  private holdInvariants(): void {
    const fresh = this.test.reloaded();
    expect(this.states(fresh), "a fresh replay gives the same state").toEqual(this.states());
    for (const name of ids) {
      const one = this.transaction(name);
      if (one === undefined) continue;
      const isPrepared = one.state === "PrepareCommit" || one.state === "PrepareAbort";
      const isSending = (sender: TestTransactions): boolean =>
        sender.sending.some((each) => each.transactionalId === name && each.producerEpoch === one.producerEpoch);
      if (isPrepared) expect(isSending(this.test) && isSending(fresh), "what is decided is seen to its end").toBe(true);
      if (one.state === "Ongoing")
        expect([...one.partitions.get("t")!].sort()).toEqual([...this.known.get(name)!.open].sort());
    }
  }
}

/** The newest that was let in: where it took over what another had prepared, it and not that one. */
function isOwnedBy(one: Transaction, producer: Producer): boolean {
  const isTaken = one.nextProducerEpoch >= 0;
  return isTaken
    ? one.nextProducerId === producer.producerId && one.nextProducerEpoch === producer.producerEpoch
    : one.producerId === producer.producerId && one.producerEpoch === producer.producerEpoch;
}

function answerOf({ producerEpoch, producerId }: Producer): Producer {
  return { producerEpoch, producerId };
}

it("keeps one owner an id, decides once, and comes back from its log", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
      new World().run(steps);
    }),
    { numRuns: runs },
  );
}, 60_000);
