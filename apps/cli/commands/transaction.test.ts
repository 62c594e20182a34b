// blum transaction, against a broker in this process with a transaction that its coordinator knows and is left open.
import { ApiKey } from "@blumfeld/core/protocol";
import { type RunningBroker, startBroker } from "blumfeld";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SetupClient } from "../../../testing/transcripts/setup.ts";
import { makeBatch, WireConnection } from "../../../testing/wire/index.ts";
import type { CliIo } from "../io.ts";
import { runBlum } from "../main.ts";

let broker: RunningBroker;
let producerId = 0;

beforeAll(async () => {
  broker = await startBroker({
    storage: "memory",
    port: 0,
    properties: {
      "transaction.state.log.num.partitions": "2",
      "offsets.topic.num.partitions": "2",
      "transaction.partition.verification.enable": false,
    },
  });
  const setup = await SetupClient.open(broker.port);
  await setup.createTopic("orders", 1);
  await setup.awaitTransactionCoordinator("pay");
  setup.close();
  const connection = await WireConnection.open(broker.port);
  const init = { transactionalId: "pay", transactionTimeoutMs: 60_000, producerId: -1n, producerEpoch: -1 };
  const producer = await connection.ask(ApiKey.InitProducerId, 5, init);
  expect(producer.errorCode).toBe(0);
  producerId = Number(producer.producerId);
  const records = makeBatch(["open"], { producerId, producerEpoch: 0, baseSequence: 0, transactional: true });
  const produced = await connection.ask(ApiKey.Produce, 12, {
    ...{ transactionalId: "pay", acks: -1, timeoutMs: 1000 },
    topicData: [{ name: "orders", partitionData: [{ index: 0, records }] }],
  });
  expect(produced.responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
  connection.destroy();
}, 30_000);
afterAll(() => broker.close());

async function blum(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  const run = { out: "", error: "" };
  const io: CliIo = {
    out: (text) => {
      run.out += text;
    },
    error: (text) => {
      run.error += text;
    },
    input: (async function* () {})(),
    isTerminal: false,
    columnCount: 80,
    environment: { BLUM_BOOTSTRAP: broker.bootstrap },
    onStopSignal: () => () => {},
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  return { code: await runBlum(["transaction", ...args], io), ...run };
}

async function json(...args: string[]): Promise<unknown> {
  const { code, error, out } = await blum(...args, "--json");
  expect(error).toBe("");
  expect(code).toBe(0);
  return JSON.parse(out);
}

test("transactional ids are listed, by state", async () => {
  const all = { transactions: [{ transactionalId: "pay", producerId, state: "Ongoing", coordinatorId: 1 }] };
  expect(await json("list")).toEqual(all);
  expect(await json("list", "--state", "Empty,CompleteCommit")).toEqual({ transactions: [] });
  expect(await json("list", "--producer-id", `${producerId}`, "--id-pattern", "p.y")).toEqual(all);
  expect(await json("list", "--id-pattern", "pa")).toEqual({ transactions: [] });
  expect(await json("list", "--running-ms", "60000")).toEqual({ transactions: [] });
  expect((await blum("list", "--id-pattern", "p(")).error).toContain("INVALID_REGULAR_EXPRESSION");
  const wrong = await blum("list", "--state", "Nonsense");
  expect(wrong.code).not.toBe(0);
  expect(wrong.error).toContain("Nonsense");
});

test("a transactional id is described with its partitions; one that is not there is named", async () => {
  expect(await json("describe", "pay")).toMatchObject({
    ...{ transactionalId: "pay", state: "Ongoing", producerId, producerEpoch: 0, timeoutMs: 60_000 },
    partitions: [{ topic: "orders", partition: 0 }],
  });
  expect((await blum("describe", "pay")).out).toContain("orders");
  const unknown = await blum("describe", "nobody");
  expect(unknown.code).not.toBe(0);
  expect(unknown.error).toContain("nobody");
});

test("a partition's producers are shown, and an open transaction is ended where it begins", async () => {
  const open = { producerId, producerEpoch: 0, lastSequence: 0, transactionStartOffset: 0 };
  expect(await json("producers", "orders")).toMatchObject({ producers: [open] });
  expect((await blum("abort", "orders", "--start-offset", "7")).code).not.toBe(0);
  // Its coordinator knows it and will end it.
  expect(await json("hanging", "orders", "--older-ms", "0")).toEqual({ topic: "orders", hanging: [] });
  const aborted = await blum("abort", "orders", "-p", "0", "--start-offset", "0");
  expect(aborted.error).toBe("");
  expect(aborted.code).toBe(0);
  expect(await json("producers", "orders")).toMatchObject({ producers: [{ ...open, transactionStartOffset: null }] });
});

test("a transaction that no coordinator knows of is found hanging, and ended", async () => {
  const connection = await WireConnection.open(broker.port);
  // Of a client that wrote without naming the partition: what verification keeps out where it is on.
  const records = makeBatch(["lost"], { producerId: 77, producerEpoch: 3, baseSequence: 0, transactional: true });
  const produced = await connection.ask(ApiKey.Produce, 11, {
    ...{ transactionalId: "gone", acks: -1, timeoutMs: 1000 },
    topicData: [{ name: "orders", partitionData: [{ index: 0, records }] }],
  });
  connection.destroy();
  const { baseOffset, errorCode } = produced.responses[0]!.partitionResponses[0]!;
  expect(errorCode).toBe(0);
  const hanging = [{ topic: "orders", partition: 0, transactionalId: null, producer: { producerId: 77 } }];
  expect(await json("hanging", "orders", "--older-ms", "9999999999999")).toEqual({ topic: "orders", hanging: [] });
  expect(await json("hanging", "orders")).toMatchObject({ hanging });
  expect((await blum("abort", "orders", "--start-offset", `${baseOffset}`)).code).toBe(0);
  expect(await json("hanging", "orders", "--older-ms", "0")).toEqual({ topic: "orders", hanging: [] });
});
