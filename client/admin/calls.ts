// What the admin's parts share: calls that are repeated while the error says so, and errors by item.
import type { ApiKey, RequestInitOf, ResponseOf } from "@blumfeld/core/protocol";
import type { ClusterClient, CoordinatorKind } from "../connection/cluster-client.ts";
import { errorFromCode, type KafkaError } from "../errors.ts";

export interface CallOptions {
  /** Default: the client's apiTimeoutMs. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What became of one item of a call about many. */
export interface ItemResult {
  /** Null: done. */
  readonly error: KafkaError | null;
}

export function itemError(code: number, what: string, message?: string | null): KafkaError | null {
  return code === 0 ? null : errorFromCode(code, what, message);
}

export function throwItem(result: ItemResult): void {
  if (result.error !== null) throw result.error;
}

export class AdminCalls {
  readonly cluster: ClusterClient;

  constructor(cluster: ClusterClient) {
    this.cluster = cluster;
  }

  /** Any broker; `check` throws what the answer says as a whole. */
  any<Key extends ApiKey>(
    key: Key,
    body: RequestInitOf<Key>,
    options: CallOptions & { readonly versionMax?: number },
    check?: (answer: ResponseOf<Key>) => void,
  ): Promise<ResponseOf<Key>> {
    const { signal, versionMax } = options;
    return this.#repeat(options, () => this.cluster.requestAny(key, body, { signal, versionMax }), check);
  }

  /** What only the controller decides. */
  controller<Key extends ApiKey>(
    key: Key,
    body: RequestInitOf<Key>,
    options: CallOptions,
    check?: (answer: ResponseOf<Key>) => void,
  ): Promise<ResponseOf<Key>> {
    const { signal } = options;
    return this.#repeat(options, () => this.cluster.requestController(key, body, { signal }), check);
  }

  broker<Key extends ApiKey>(
    nodeId: number,
    key: Key,
    body: RequestInitOf<Key>,
    options: CallOptions,
    check?: (answer: ResponseOf<Key>) => void,
  ): Promise<ResponseOf<Key>> {
    const { signal } = options;
    return this.#repeat(options, async () => (await this.cluster.request(nodeId, key, body, { signal })).body, check);
  }

  coordinator<Key extends ApiKey>(
    kind: CoordinatorKind,
    id: string,
    key: Key,
    body: RequestInitOf<Key>,
    options: CallOptions & { readonly versionMax?: number },
    check?: (answer: ResponseOf<Key>) => void,
  ): Promise<ResponseOf<Key>> {
    const { signal, versionMax } = options;
    return this.#repeat(
      options,
      () => this.cluster.requestCoordinator(kind, id, key, body, { signal, versionMax }),
      check,
      () => this.cluster.forgetCoordinator(kind, id),
    );
  }

  /** Every broker that the metadata names. */
  async brokerIds(): Promise<number[]> {
    if (this.cluster.metadata.brokers.size === 0) await this.cluster.retrying(() => this.cluster.metadata.refresh());
    return [...this.cluster.metadata.brokers.keys()].sort((one, other) => one - other);
  }

  #repeat<Answer>(
    options: CallOptions,
    attempt: () => Promise<Answer>,
    check?: (answer: Answer) => void,
    beforeRetry?: () => void,
  ): Promise<Answer> {
    return this.cluster.retrying(
      async () => {
        const answer = await attempt();
        check?.(answer);
        return answer;
      },
      { signal: options.signal, timeoutMs: options.timeoutMs, beforeRetry },
    );
  }
}

/** For a check: throws the answer's own error. */
export function throwCode(code: number, what: string, message?: string | null): void {
  if (code !== 0) throw errorFromCode(code, what, message);
}

/** For a check: throws the first error among the items that trying the whole again may mend. */
export function throwRetriable(codes: Iterable<number>, what: string): void {
  for (const code of codes) {
    if (code === 0) continue;
    const error = errorFromCode(code, what);
    if (error.retriable && retriedByAdmin.has(error.code)) throw error;
  }
}

/** Others are retriable for a client that waits for a state; a person asked once wants to hear them. */
const retriedByAdmin: ReadonlySet<string> = new Set([
  "NOT_CONTROLLER",
  "NOT_LEADER_OR_FOLLOWER",
  "LEADER_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
  "NETWORK_EXCEPTION",
  "REQUEST_TIMED_OUT",
]);
