// Asks another broker's transaction coordinator whether partitions belong to a transaction, or to add them to it (KIP-890): one AddPartitionsToTxn
// at a time for each broker, with what has come up meanwhile for several transactions.
import type { Timers } from "@blumfeld/core/base";
import { ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { PeerAddress, Peers } from "../peers/peers.ts";
import { shardLane, shardRequestMsMax } from "./shard-address.ts";

export interface TransactionQuestion {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly verifyOnly: boolean;
  readonly partitions: ReadonlyMap<string, readonly number[]>;
}

interface Asked {
  readonly question: TransactionQuestion;
  readonly resolve: (errorCode: number) => void;
}

interface Outbox {
  readonly address: PeerAddress;
  asked: Asked[];
  isSending: boolean;
}

export class RemoteVerifier {
  private readonly timers: Timers;
  private readonly outboxes = new Map<string, Outbox>();

  constructor(timers: Timers) {
    this.timers = timers;
  }

  /** 0, or the first error of a partition. */
  ask(peers: Peers, address: PeerAddress, question: TransactionQuestion): Promise<number> {
    return new Promise((resolve) => {
      const key = `${address.id} ${address.host}:${address.port}`;
      let outbox = this.outboxes.get(key);
      if (outbox === undefined) {
        outbox = { address, asked: [], isSending: false };
        this.outboxes.set(key, outbox);
      }
      outbox.asked.push({ question, resolve });
      if (outbox.isSending) return;
      outbox.isSending = true;
      const open = outbox;
      this.timers.atTurnEnd(() => void this.send(peers, key, open));
    });
  }

  private async send(peers: Peers, key: string, outbox: Outbox): Promise<void> {
    while (outbox.asked.length > 0) {
      const asked = takeDistinct(outbox);
      const codes = await this.request(peers, outbox.address, asked);
      for (const one of asked)
        one.resolve(codes.get(one.question.transactionalId) ?? ErrorCode.COORDINATOR_NOT_AVAILABLE);
    }
    outbox.isSending = false;
    this.outboxes.delete(key);
  }

  private async request(peers: Peers, to: PeerAddress, asked: readonly Asked[]): Promise<Map<string, number>> {
    const transactions = asked.map(({ question }) => ({
      transactionalId: question.transactionalId,
      producerId: BigInt(question.producerId),
      producerEpoch: question.producerEpoch,
      verifyOnly: question.verifyOnly,
      topics: Array.from(question.partitions, ([name, partitions]) => ({ name, partitions: [...partitions] })),
    }));
    try {
      const options = { timeoutMs: shardRequestMsMax, lane: shardLane };
      const answer = await peers.request(to, ApiKey.AddPartitionsToTxn, { transactions }, options);
      if (answer.errorCode !== ErrorCode.NONE) {
        // Who may not ask cannot verify: to the producer its transaction is wrong, as in Kafka.
        const { CLUSTER_AUTHORIZATION_FAILED, INVALID_TXN_STATE } = ErrorCode;
        const code = answer.errorCode === CLUSTER_AUTHORIZATION_FAILED ? INVALID_TXN_STATE : answer.errorCode;
        return new Map(asked.map(({ question }) => [question.transactionalId, code]));
      }
      return new Map(
        answer.resultsByTransaction.map(({ topicResults, transactionalId }) => [
          transactionalId,
          firstErrorOf(topicResults),
        ]),
      );
    } catch {
      return new Map();
    }
  }
}

/** A request names a transaction once. */
function takeDistinct(outbox: Outbox): Asked[] {
  const taken = new Map<string, Asked>();
  const later: Asked[] = [];
  for (const one of outbox.asked) {
    const { transactionalId } = one.question;
    if (taken.has(transactionalId)) later.push(one);
    else taken.set(transactionalId, one);
  }
  outbox.asked = later;
  return [...taken.values()];
}

function firstErrorOf(
  topics: readonly { readonly resultsByPartition: readonly { readonly partitionErrorCode: number }[] }[],
): number {
  for (const { resultsByPartition } of topics)
    for (const { partitionErrorCode } of resultsByPartition)
      if (partitionErrorCode !== ErrorCode.NONE) return partitionErrorCode;
  return ErrorCode.NONE;
}
