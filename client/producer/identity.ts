// Who this producer is to the brokers: its id and epoch, got from any broker (InitProducerId), bumped here when a partition has to number
// its batches anew. A producer without a transactional id owns its epochs alone, so a bump needs no round trip until they run out.
import { ApiKey } from "@blumfeld/core/protocol";
import type { ClusterClient } from "../connection/cluster-client.ts";
import { errorFromCode, KafkaError } from "../errors.ts";
import type { ProducerIdentity } from "./partition-queue.ts";

const producerEpochMax = 0x7fff;
/** What Kafka's client sends where there is no transaction that could time out. */
const transactionTimeoutMsNone = 0x7fff_ffff;

export class IdentityKeeper {
  readonly #cluster: ClusterClient;
  readonly #onChange: () => void;
  readonly #onFatal: (error: KafkaError) => void;
  #identity: ProducerIdentity | null = null;
  #isAsking = false;

  constructor(cluster: ClusterClient, onChange: () => void, onFatal: (error: KafkaError) => void) {
    this.#cluster = cluster;
    this.#onChange = onChange;
    this.#onFatal = onFatal;
  }

  /** Null until the brokers have given one; asking begins with the first call. */
  get identity(): ProducerIdentity | null {
    if (this.#identity === null && !this.#isAsking) void this.#ask();
    return this.#identity;
  }

  /** The next epoch; where there is none left, a new id. */
  bump(): void {
    if (this.#identity === null) return;
    const { producerId, producerEpoch } = this.#identity;
    this.#identity = producerEpoch >= producerEpochMax - 1 ? null : { producerId, producerEpoch: producerEpoch + 1 };
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    const body = { transactionalId: null, transactionTimeoutMs: transactionTimeoutMsNone };
    try {
      this.#identity = await this.#cluster.retrying(
        async () => {
          const answer = await this.#cluster.requestAny(ApiKey.InitProducerId, body);
          if (answer.errorCode !== 0) throw errorFromCode(answer.errorCode, "InitProducerId");
          return { producerId: Number(answer.producerId), producerEpoch: answer.producerEpoch };
        },
        { timeoutMs: Number.MAX_SAFE_INTEGER },
      );
      this.#isAsking = false;
      this.#onChange();
    } catch (error) {
      this.#isAsking = false;
      if (error instanceof KafkaError) this.#onFatal(error);
      else throw error;
    }
  }
}
