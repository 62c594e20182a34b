// Proves that a transactional write belongs to a transaction that goes on (KIP-890): asked before the first batch of a transaction goes into a
// partition. Clients up to transactions v1 have added the partition before; for those of v2 it is added here. Partitions of one producer that are
// asked for together are one question.
import { epochBumpVersion } from "@blumfeld/core/coordinator";
import { transactionStateTopic } from "@blumfeld/core/model";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { BrokerParts, TransactionVerifier } from "../parts.ts";
import { RemoteVerifier } from "./remote-verifier.ts";
import { type AddressParts, addressOfPartition, type ShardAddress } from "./shard-address.ts";
import type { TransactionCoordinator } from "./transaction-coordinator.ts";

/** Produce: whether this version's clients leave adding partitions to the broker. */
const produceAddsFrom = 12;
/** Produce: from here on clients know that a transaction may have to be aborted. */
const abortableFrom = 11;
/** The same two for TxnOffsetCommit. */
const offsetsAddFrom = 5;
const offsetsAbortableFrom = 4;

export interface WriteToVerify {
  readonly topic: string;
  readonly partition: number;
  readonly producerId: number;
  readonly producerEpoch: number;
}

type Parts = AddressParts & Pick<BrokerParts, "cluster" | "timers">;

interface Asked {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly partitions: Map<string, number[]>;
  readonly answer: Promise<number>;
}

export class ProduceVerifier implements TransactionVerifier {
  private readonly parts: Parts;
  private readonly coordinator: TransactionCoordinator;
  /** Of the request that is in hand. */
  private gathering: Asked | null = null;
  private readonly remote: RemoteVerifier;

  constructor(parts: Parts, coordinator: TransactionCoordinator) {
    this.parts = parts;
    this.coordinator = coordinator;
    this.remote = new RemoteVerifier(parts.timers);
  }

  verify(transactionalId: string | null, write: WriteToVerify, apiVersion: number): null | Promise<number> {
    if (transactionalId === null) return null;
    if (apiVersion >= produceAddsFrom)
      return this.add(transactionalId, write).then((code) => producerError(code, true));
    if (!this.parts.cluster.settings.get("transaction.partition.verification.enable")) return null;
    const code = this.check(transactionalId, write);
    if (typeof code !== "number") return code.then((later) => producerError(later, apiVersion >= abortableFrom));
    return code === ErrorCode.NONE ? null : Promise.resolve(producerError(code, apiVersion >= abortableFrom));
  }

  /** The same for a group's offsets: TxnOffsetCommit's versions. */
  async verifyOffsets(transactionalId: string, write: WriteToVerify, apiVersion: number): Promise<number> {
    if (apiVersion >= offsetsAddFrom) return offsetsError(await this.add(transactionalId, write));
    if (!this.parts.cluster.settings.get("transaction.partition.verification.enable")) return ErrorCode.NONE;
    const code = await this.check(transactionalId, write);
    if (code === ErrorCode.TRANSACTION_ABORTABLE && apiVersion < offsetsAbortableFrom)
      return ErrorCode.INVALID_TXN_STATE;
    return offsetsError(code);
  }

  /** 0 where the transaction that goes on has the partition. A promise where another broker coordinates it. */
  check(transactionalId: string, write: WriteToVerify): number | Promise<number> {
    const { producerEpoch, producerId, topic, partition } = write;
    const at = this.addressOf(transactionalId);
    if (at !== "here") {
      const partitions = new Map([[topic, [partition]]]);
      const question = { transactionalId, producerId, producerEpoch, verifyOnly: true, partitions };
      return this.remote.ask(at.peers, at.address, question);
    }
    const verdict = this.coordinator.verify({
      transactionalId,
      producerId: BigInt(write.producerId),
      producerEpoch,
    });
    if (typeof verdict === "number") return verdict;
    return verdict(topic, partition) ? ErrorCode.NONE : ErrorCode.TRANSACTION_ABORTABLE;
  }

  private addressOf(transactionalId: string): ShardAddress {
    const partition = this.coordinator.host.partitionOf(transactionalId);
    return partition === null ? "here" : addressOfPartition(this.parts, transactionStateTopic, partition);
  }

  /** Adds the partition to the transaction. */
  add(transactionalId: string, write: WriteToVerify): Promise<number> {
    const { producerEpoch, producerId, topic, partition } = write;
    const open = this.gathering;
    const isSame =
      open !== null &&
      open.transactionalId === transactionalId &&
      open.producerId === producerId &&
      open.producerEpoch === producerEpoch;
    if (isSame) {
      const indexes = open.partitions.get(topic);
      if (indexes === undefined) open.partitions.set(topic, [partition]);
      else if (!indexes.includes(partition)) indexes.push(partition);
      return open.answer;
    }
    const partitions = new Map([[topic, [partition]]]);
    // Asked once this frame's handler has named all its partitions.
    const answer = Promise.resolve().then(() => {
      if (this.gathering === asked) this.gathering = null;
      const at = this.addressOf(transactionalId);
      if (at !== "here") {
        const question = { transactionalId, producerId, producerEpoch, verifyOnly: false, partitions };
        return this.remote.ask(at.peers, at.address, question);
      }
      return this.coordinator.addPartitions({
        ...{ transactionalId, producerId: BigInt(producerId), producerEpoch, partitions },
        clientVersion: epochBumpVersion,
      });
    });
    const asked: Asked = { transactionalId, producerId, producerEpoch, partitions, answer };
    this.gathering = asked;
    return answer;
  }
}

/** As a producer understands it; where asking again may help, in a code that every producer asks again for. */
function producerError(code: number, knowsAbortable: boolean): number {
  switch (code) {
    case ErrorCode.PRODUCER_FENCED:
      return ErrorCode.INVALID_PRODUCER_EPOCH;
    case ErrorCode.TRANSACTION_ABORTABLE:
      return knowsAbortable ? code : ErrorCode.INVALID_TXN_STATE;
    case ErrorCode.CONCURRENT_TRANSACTIONS:
    case ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
    case ErrorCode.COORDINATOR_NOT_AVAILABLE:
    case ErrorCode.NOT_COORDINATOR:
      return ErrorCode.NOT_ENOUGH_REPLICAS;
    default:
      return code;
  }
}

function offsetsError(code: number): number {
  switch (code) {
    case ErrorCode.PRODUCER_FENCED:
      return ErrorCode.INVALID_PRODUCER_EPOCH;
    case ErrorCode.NOT_COORDINATOR:
      // The group's coordinator is here; it is the transaction's that has moved.
      return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    default:
      return code;
  }
}
