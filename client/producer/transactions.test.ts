// The transactional producer against the model of a cluster, in virtual time, in both versions of the protocol.
import { seededRandom } from "@blumfeld/core/base";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ModelCluster } from "../test-double/model-cluster.ts";
import { ModelTransactions } from "../test-double/model-transactions.ts";
import type { ProducerOptions } from "./options.ts";
import { Producer } from "./producer.ts";

let cluster: ModelCluster;
let made: Producer[];

function setUp(isV2: boolean): ModelTransactions {
  cluster.transactions = new ModelTransactions(cluster, isV2);
  return cluster.transactions;
}

function make(options: Partial<ProducerOptions> = {}): Producer {
  const { bootstrapServers, ports } = cluster;
  const producer = new Producer({ bootstrapServers, ports, transactionalId: "tx", ...options });
  made.push(producer);
  return producer;
}

beforeEach(() => {
  made = [];
  cluster = new ModelCluster(3);
  cluster.createTopic("orders", 3);
});
afterEach(async () => {
  for (const producer of made) await cluster.time.until(producer.close({ timeoutMs: 1 }));
  expect(cluster.network.openCount).toBe(0);
});

const until = <Result>(promise: Promise<Result>): Promise<Result> => {
  promise.catch(() => {});
  return cluster.time.until(promise);
};
const record = (value: string, partition = 0) => ({ topic: "orders", partition, value });
const group = { groupId: "g", generation: 1, memberId: "m", groupInstanceId: null };
const keysAsked = () =>
  cluster.requests.map(({ key }) => key).filter((key) => key !== ApiKey.ApiVersions && key !== ApiKey.Metadata);

describe.each([false, true])("transactions v2: %s", (isV2) => {
  test("what is committed is seen, with its offsets", async () => {
    const model = setUp(isV2);
    const producer = make();
    const work = producer.transaction(async (tx) => {
      tx.send(record("a"));
      tx.send([record("b"), record("c", 1)]);
      await tx.sendOffsets([{ topic: "in", partition: 2, offset: 7 }], group);
      return "done";
    });
    expect(await until(work)).toBe("done");
    expect([model.committedValues("orders", 0), model.committedValues("orders", 1)]).toEqual([["a", "b"], ["c"]]);
    expect([...model.offsets]).toEqual([["g/in-2", 7]]);
    const keys = keysAsked();
    expect(keys.includes(ApiKey.AddPartitionsToTxn)).toBe(!isV2);
    expect(keys.includes(ApiKey.AddOffsetsToTxn)).toBe(!isV2);
    const versions = new Set(cluster.requestsOf(ApiKey.Produce).map(({ version }) => version >= 12));
    expect([...versions]).toEqual([isV2]);
  });

  test("what is aborted is not, and the next transaction follows on", async () => {
    const model = setUp(isV2);
    const producer = make();
    const failing = producer.transaction(async (tx) => {
      await tx.send(record("lost"));
      await tx.sendOffsets([{ topic: "in", partition: 2, offset: 7 }], group);
      throw new Error("the program's own");
    });
    await expect(until(failing)).rejects.toThrow("the program's own");
    await until(producer.transaction((tx) => tx.send(record("kept"))));
    expect(model.committedValues("orders", 0)).toEqual(["kept"]);
    expect(model.offsets.size).toBe(0);
  });

  test("records that wait when it is aborted are not sent", async () => {
    const model = setUp(isV2);
    const producer = make({ lingerMs: 1000, deliveryTimeoutMs: 100_000 });
    await until(producer.initTransactions());
    const tx = producer.beginTransaction();
    const sent = tx.send(record("never"));
    await until(tx.abort());
    await expect(sent).rejects.toMatchObject({ code: "CLIENT_INVALID_ARGUMENT" });
    await until(producer.transaction((next) => next.send(record("kept"))));
    expect(cluster.valuesOf("orders", 0).filter((value) => value === "never")).toEqual([]);
    expect(model.committedValues("orders", 0)).toEqual(["kept"]);
  });

  test("an empty one asks for no end", async () => {
    setUp(isV2);
    const producer = make();
    await until(producer.transaction(() => {}));
    const tx = producer.beginTransaction();
    await until(tx.abort());
    expect(cluster.requestsOf(ApiKey.EndTxn)).toEqual([]);
  });

  test("a second producer fences the first, whose commit says so", async () => {
    const model = setUp(isV2);
    const [first, second] = [make(), make()];
    await until(first.initTransactions());
    const tx = first.beginTransaction();
    await until(tx.send(record("zombie")));
    await until(second.initTransactions());
    await expect(until(tx.commit())).rejects.toMatchObject({
      name: "TransactionError",
      code: "PRODUCER_FENCED",
      fate: "fatal",
      retriable: false,
      message: expect.stringContaining("another producer with this transactional id"),
    });
    await until(second.transaction((next) => next.send(record("owner"))));
    await expect(until(first.transaction(() => {}))).rejects.toMatchObject({ code: "PRODUCER_FENCED" });
    await expect(first.send(record("late"))).rejects.toMatchObject({ code: "PRODUCER_FENCED" });
    expect(model.committedValues("orders", 0)).toEqual(["owner"]);
  });

  test("a transaction that took too long fails; in v2 its producer goes on", async () => {
    const model = setUp(isV2);
    const producer = make();
    const work = producer.transaction(async (tx) => {
      await tx.send(record("a"));
      model.timeOut("tx");
      await tx.send(record("b"));
    });
    const failed = isV2
      ? { code: "INVALID_PRODUCER_EPOCH", fate: "abort" }
      : { code: "PRODUCER_FENCED", fate: "fatal", message: expect.stringContaining("longer than its timeout") };
    await expect(until(work)).rejects.toMatchObject(failed);
    if (isV2) await until(producer.transaction((tx) => tx.send(record("c"))));
    expect(model.committedValues("orders", 0)).toEqual(isV2 ? ["c"] : []);
  });

  test("a refused record fails the transaction; after the abort the producer is well", async () => {
    const model = setUp(isV2);
    const producer = make();
    await until(producer.initTransactions());
    const tx = producer.beginTransaction();
    await until(tx.send(record("before")));
    cluster.batchBytesMax = 300;
    const refused = until(tx.send(record("x".repeat(1000))));
    await expect(refused).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    await expect(until(tx.send(record("after")))).rejects.toMatchObject({ fate: "abort" });
    await expect(until(tx.commit())).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE", fate: "abort" });
    await until(tx.abort());
    for (const value of ["one", "two"]) await until(producer.transaction((next) => next.send(record(value))));
    expect(model.committedValues("orders", 0)).toEqual(["one", "two"]);
  });

  test("offsets of a member that is out are refused, and the transaction with them", async () => {
    const model = setUp(isV2);
    model.generation = 2;
    const producer = make();
    const work = producer.transaction(async (tx) => {
      tx.send(record("a"));
      await tx.sendOffsets([{ topic: "in", partition: 2, offset: 7 }], group);
    });
    await expect(until(work)).rejects.toMatchObject({ code: "ILLEGAL_GENERATION", fate: "abort" });
    await until(producer.transaction((tx) => tx.send(record("b"))));
    expect(model.committedValues("orders", 0)).toEqual(["b"]);
  });

  test("a coordinator that moves is found again", async () => {
    const model = setUp(isV2);
    const producer = make();
    await until(producer.transaction((tx) => tx.send(record("a"))));
    model.coordinator = 3;
    await until(producer.transaction((tx) => tx.send(record("b"))));
    expect(model.committedValues("orders", 0)).toEqual(["a", "b"]);
  });

  test("a commit that takes too long goes on, and can be waited for", async () => {
    const model = setUp(isV2);
    const producer = make({ blockMsMax: 2000 });
    await until(producer.initTransactions());
    const tx = producer.beginTransaction();
    await until(tx.send(record("a")));
    cluster.fault = ({ key }) =>
      key === ApiKey.EndTxn ? { answer: { errorCode: ErrorCode.CONCURRENT_TRANSACTIONS } } : undefined;
    await expect(until(tx.commit())).rejects.toMatchObject({ code: "CLIENT_TIMEOUT", retriable: true });
    await expect(until(tx.abort())).rejects.toMatchObject({ code: "INVALID_TXN_STATE" });
    cluster.fault = () => undefined;
    await until(tx.commit());
    expect(model.committedValues("orders", 0)).toEqual(["a"]);
  });

  test("closing aborts what is open", async () => {
    const model = setUp(isV2);
    const producer = make();
    await until(producer.initTransactions());
    await until(producer.beginTransaction().send(record("a")));
    await until(producer.close());
    expect(model.byId.get("tx")!.state).toBe("aborted");
  });

  test("what is out of its turn is refused by name", async () => {
    setUp(isV2);
    const producer = make();
    await expect(producer.send(record("a"))).rejects.toMatchObject({ code: "INVALID_TXN_STATE" });
    expect(() => producer.beginTransaction()).toThrow(/call initTransactions first/);
    await until(producer.initTransactions());
    const tx = producer.beginTransaction();
    expect(() => producer.beginTransaction()).toThrow(/commit or abort it first/);
    await until(tx.commit());
    await expect(tx.send(record("a"))).rejects.toMatchObject({ code: "INVALID_TXN_STATE" });
    await expect(tx.abort()).rejects.toMatchObject({ code: "INVALID_TXN_STATE" });
    await expect(tx.prepare()).rejects.toMatchObject({ code: "INVALID_TXN_STATE" });
  });
});

describe("two-phase commit", () => {
  const prepareOne = async (): Promise<string> => {
    const first = make({ twoPhaseCommit: true });
    await until(first.initTransactions());
    const tx = first.beginTransaction();
    tx.send(record("prepared"));
    return until(tx.prepare());
  };

  test("the next producer commits what was prepared, where the state is the one that was kept", async () => {
    const model = setUp(true);
    const state = await prepareOne();
    const second = make({ twoPhaseCommit: true });
    expect(await until(second.initTransactions({ keepPrepared: true }))).toBe(state);
    expect(() => second.beginTransaction()).toThrow(/complete it first/);
    expect(await until(second.completeTransaction(state))).toBe("committed");
    expect(await until(second.completeTransaction(state))).toBe("none");
    await until(second.transaction((tx) => tx.send(record("next"))));
    expect(model.committedValues("orders", 0)).toEqual(["prepared", "next"]);
  });

  test.each([null, "99:0"])("and aborts it where it is %s", async (state) => {
    const model = setUp(true);
    await prepareOne();
    const second = make({ twoPhaseCommit: true });
    await until(second.initTransactions({ keepPrepared: true }));
    expect(await until(second.completeTransaction(state))).toBe("aborted");
    expect(model.committedValues("orders", 0)).toEqual([]);
  });

  test("the producer that prepared it may decide it too", async () => {
    const model = setUp(true);
    const state = await prepareOne();
    expect(await until(made[0]!.completeTransaction(state))).toBe("committed");
    expect(model.committedValues("orders", 0)).toEqual(["prepared"]);
  });
});

test.each([
  [{ transactionalId: "" }, /transactionalId is empty/],
  [{ idempotent: false }, /needs idempotent true/],
  [{ acks: 1 }, /cannot be idempotent/],
  [{ twoPhaseCommit: true, transactionTimeoutMs: 5 }, /means nothing with twoPhaseCommit/],
  [{ transactionTimeoutMs: 0 }, /transactionTimeoutMs=0/],
] as const)("options %j are refused", (options, message) => {
  expect(() => make(options)).toThrow(message);
});

interface Plan {
  readonly seed: number;
  readonly isV2: boolean;
  readonly transactions: number;
  readonly faultShare: number;
  readonly batchBytes: number;
  readonly inFlight: number;
}

async function runPlan(plan: Plan): Promise<void> {
  const random = seededRandom(plan.seed);
  made = [];
  cluster = new ModelCluster(3);
  cluster.createTopic("orders", 3);
  const model = setUp(plan.isV2);
  let faultsLeft = 30;
  cluster.fault = ({ key }) => {
    if (faultsLeft === 0 || random.fraction() >= plan.faultShare) return undefined;
    faultsLeft--;
    switch (random.below(6)) {
      case 0:
        return "close";
      case 1:
        return "silence";
      case 2:
        cluster.moveLeader("orders", random.below(3), cluster.nodeIds[random.below(3)]!);
        return undefined;
      case 3:
        model.coordinator = cluster.nodeIds[random.below(3)]!;
        return undefined;
      case 4:
        return key === ApiKey.EndTxn ? { answer: { errorCode: ErrorCode.CONCURRENT_TRANSACTIONS } } : undefined;
      default:
        return "lose-answer";
    }
  };
  const producer = make({
    ports: { ...cluster.ports, random },
    batchBytes: plan.batchBytes,
    inFlightRequestsMax: plan.inFlight,
    requestTimeoutMs: 1000,
    // Short enough that some batches are given up, and their transactions with them.
    deliveryTimeoutMs: 4000,
    blockMsMax: 100_000_000,
  });
  const expected: string[][] = [[], [], []];
  let offset = 0;
  await cluster.time.until(producer.initTransactions(), 10_000_000);
  for (let number = 0; number < plan.transactions; number++) {
    const tx = producer.beginTransaction();
    const values: string[][] = [[], [], []];
    for (let count = random.below(6); count > 0; count--) {
      const partition = random.below(3);
      const value = `${number}:${partition}:${count}`;
      values[partition]!.push(value);
      tx.send(record(value, partition));
      if (random.below(3) === 0) await cluster.time.advance(random.below(20));
    }
    const commitsOffsets = random.below(2) === 0;
    if (commitsOffsets) tx.sendOffsets([{ topic: "in", partition: 0, offset: number }], group);
    let isCommitted = random.below(4) > 0;
    try {
      await cluster.time.until(isCommitted ? tx.commit() : tx.abort(), 100_000_000);
    } catch (error) {
      expect(error).toMatchObject({ fate: "abort" });
      isCommitted = false;
      await cluster.time.until(tx.abort(), 100_000_000);
    }
    if (!isCommitted) continue;
    values.forEach((list, partition) => {
      expected[partition]!.push(...list);
    });
    if (commitsOffsets) offset = number;
  }
  for (const partition of [0, 1, 2]) expect(model.committedValues("orders", partition)).toEqual(expected[partition]);
  expect(model.offsets.get("g/in-0") ?? 0).toBe(offset);
  await cluster.time.until(producer.close(), 100_000_000);
}

test("all or nothing under faults, in order", { timeout: 120_000 }, async () => {
  const plan = fc.record({
    seed: fc.integer({ min: 1, max: 1_000_000 }),
    isV2: fc.boolean(),
    transactions: fc.integer({ min: 1, max: 12 }),
    faultShare: fc.constantFrom(0, 0.05, 0.2, 0.5),
    batchBytes: fc.constantFrom(100, 16_384),
    inFlight: fc.integer({ min: 1, max: 5 }),
  });
  const numRuns = Number(process.env.BLUMFELD_PROPERTY_RUNS ?? 60);
  await fc.assert(fc.asyncProperty(plan, runPlan), { numRuns, endOnFailure: true });
});
