// The life of transactional ids as scripts (testdata/*.txt): a line `> command` does something, the lines under it are what came of it. Producers have
// names and remember the id and epoch that they were given. `UPDATE_SCRIPTS=1` writes what really came; read the difference before it is kept.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ErrorCode, errorOf } from "../../protocol/index.ts";
import { TestTransactions } from "./fixture/test-transactions.ts";
import { noProducerEpoch, type ProducerIdAndEpoch } from "./transaction.ts";
import type { ProducerAnswer } from "./transaction-shard.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "testdata");
const transactionalId = "id";

class ScriptRunner {
  private test = TestTransactions.empty();
  private readonly producers = new Map<string, ProducerIdAndEpoch>();
  private trace: string[] = [];

  run(script: string): string {
    const out: string[] = [];
    for (const line of script.split("\n")) {
      if (line.startsWith("#") || line.trim() === "") out.push(line);
      if (!line.startsWith("> ")) continue;
      out.push(line);
      this.trace = [];
      this.command(line.slice(2).trim());
      out.push(...this.trace.map((text) => `  ${text}`));
    }
    return `${out.join("\n").trimEnd()}\n`;
  }

  private command(line: string): void {
    const [verb = "", ...words] = line.split(" ");
    const options = new Map(words.map((word) => word.split("=", 2) as [string, string | undefined]));
    const name = words[0] ?? "";
    switch (verb) {
      case "cluster":
        this.test = TestTransactions.empty({
          isTwoPhaseCommitEnabled: options.has("two-phase"),
          transactionVersion: Number(options.get("version") ?? 2),
          idExpirationMs: Number(options.get("expiration") ?? 604_800_000),
        });
        return;
      case "init":
        return this.init(name, options);
      case "add":
        return this.add(name, options);
      case "end":
        return this.end(name, options);
      case "verify":
        return this.verify(name, options);
      case "markers":
        return this.markers();
      case "pass":
        return this.test.pass(Number(name));
      case "refuse":
        this.test.refusing = ErrorCode.NOT_ENOUGH_REPLICAS;
        return;
      case "accept":
        this.test.refusing = null;
        return;
      case "reload":
        this.test.runtime.close();
        this.test = this.test.reloaded();
        return;
      case "age":
        return this.age(Number(name));
      case "show":
        return this.show();
      default:
        throw new Error(`what is ${line}?`);
    }
  }

  private init(name: string, options: ReadonlyMap<string, string | undefined>): void {
    const expected = options.has("again") ? (this.producers.get(options.get("again") ?? name) ?? null) : null;
    const ask = {
      transactionalId,
      timeoutMs: Number(options.get("timeout") ?? 60_000),
      expected,
      isTwoPhaseCommit: options.has("two-phase"),
      keepsPrepared: options.has("keep"),
    };
    this.heard(
      name,
      this.test.decideWithId(
        (freshProducerId) => (shard, nowMs) => shard.initProducer({ ...ask, freshProducerId }, nowMs),
      ),
    );
  }

  private heard(name: string, answer: ProducerAnswer | { readonly errorCode: number }): void {
    if (!("kind" in answer)) this.trace.push(`${name}: ${errorOf(answer.errorCode).name}`);
    else if (answer.kind === "refused") this.trace.push(`${name}: ${errorOf(answer.errorCode).name}`);
    else if (answer.kind === "producer") {
      this.producers.set(name, answer);
      const kept =
        answer.kept === undefined ? "" : `, decides for ${answer.kept.producerId}/${answer.kept.producerEpoch}`;
      this.trace.push(`${name}: producer ${answer.producerId}/${answer.producerEpoch}${kept}`);
    }
  }

  private add(name: string, options: ReadonlyMap<string, string | undefined>): void {
    const partitions = partitionsOf(options);
    const ask = { transactionalId, ...this.producer(name), partitions, clientVersion: Number(options.get("v") ?? 2) };
    const answer = this.test.decide((shard, nowMs) => shard.addPartitions(ask, nowMs));
    this.trace.push(`${name}: ${errorOf(typeof answer === "number" ? answer : answer.errorCode).name}`);
  }

  private verify(name: string, options: ReadonlyMap<string, string | undefined>): void {
    const verdict = this.test.shard.verify({ transactionalId, ...this.producer(name) });
    if (typeof verdict === "number") this.trace.push(`${name}: ${errorOf(verdict).name}`);
    else
      for (const [topic, indexes] of partitionsOf(options))
        for (const index of indexes) this.trace.push(`${name}: ${topic}-${index} ${verdict(topic, index)}`);
  }

  private end(name: string, options: ReadonlyMap<string, string | undefined>): void {
    const ask = {
      transactionalId,
      ...this.producer(options.get("as") ?? name),
      isCommit: options.has("commit"),
      clientVersion: Number(options.get("v") ?? 2),
    };
    this.heard(
      name,
      this.test.decideWithId(
        (freshProducerId) => (shard, nowMs) => shard.endTransaction({ ...ask, freshProducerId }, nowMs),
      ),
    );
  }

  private producer(name: string): ProducerIdAndEpoch {
    const { producerEpoch, producerId } = this.producers.get(name)!;
    return { producerEpoch, producerId };
  }

  private markers(): void {
    const sending = this.test.sending[0];
    if (sending === undefined) return void this.trace.push("no markers");
    const end = sending.state === "PrepareCommit" ? "commit" : "abort";
    const done = this.test.completeOne();
    this.trace.push(`${end} of ${sending.producerId}/${sending.producerEpoch}${done ? "" : ", not complete"}`);
  }

  private age(producerEpoch: number): void {
    const before = this.test.shard.transaction(transactionalId)!;
    const transaction = { ...before, producerEpoch, lastProducerEpoch: noProducerEpoch };
    this.test.decide(() => ({ records: [{ transactionalId, transaction }], answer: null }));
    for (const [name, one] of this.producers)
      if (one.producerId === before.producerId) this.producers.set(name, { ...one, producerEpoch });
  }

  private show(): void {
    const one = this.test.shard.transaction(transactionalId);
    if (one === undefined) return void this.trace.push("not there");
    const partitions = [...one.partitions].map(([topic, indexes]) => `${topic}-${indexes.join(",")}`).join(" ");
    const next = one.nextProducerId < 0n ? "" : `, next ${one.nextProducerId}/${one.nextProducerEpoch}`;
    this.trace.push(`${one.state} ${one.producerId}/${one.producerEpoch}${next} [${partitions}]`);
  }
}

function partitionsOf(options: ReadonlyMap<string, string | undefined>): Map<string, number[]> {
  const partitions = (options.get("t") ?? "").split(",").map(Number);
  return new Map([["t", partitions]]);
}

describe("the transactions of", () => {
  it.each(readdirSync(folder).filter((name) => name.endsWith(".txt")))("%s", (name) => {
    const path = join(folder, name);
    const script = readFileSync(path, "utf8");
    const ran = new ScriptRunner().run(script);
    if (process.env.UPDATE_SCRIPTS === "1") writeFileSync(path, ran);
    else expect(ran).toBe(script);
  });
});
