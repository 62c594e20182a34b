// Share state wherever its coordinator is: in this process, or on the broker that leads the key's partition of `__share_group_state`. What the share
// coordinator answers comes back in the same form either way; a broker that cannot be reached is one that is not the coordinator now.
import {
  batchOf,
  type ShareKey,
  type ShareOutcome,
  type ShareState,
  type ShareWrite,
} from "@blumfeld/core/coordinator";
import { shareGroupStateTopic } from "@blumfeld/core/model";
import { ApiKey, ErrorCode, type RequestInitOf, type ResponseOf } from "@blumfeld/core/protocol";
import {
  type AddressParts,
  addressOfPartition,
  type ShardAddress,
  shardLane,
  shardRequestMsMax,
} from "./shard-address.ts";
import type { ShareCoordinator } from "./share-coordinator.ts";

/** The parts of a state that a coordinator tells other brokers. */
export type ToldShareState = Pick<
  ShareState,
  "stateEpoch" | "leaderEpoch" | "startOffset" | "deliveryCompleteCount" | "batches"
>;
export type ToldShareRead = ShareOutcome & { readonly state?: ToldShareState | null };

const notCoordinator: ShareOutcome = { errorCode: ErrorCode.NOT_COORDINATOR, errorMessage: null };
const unsetOffset = -1;
const done: ShareOutcome = { errorCode: ErrorCode.NONE, errorMessage: null };
/** What is read where nothing is kept: a share partition that begins at each start of its leader. */
const nothingKept: ToldShareRead = {
  ...done,
  state: { stateEpoch: 0, leaderEpoch: 0, startOffset: unsetOffset, deliveryCompleteCount: -1, batches: [] },
};

/** Whether a setting of this value has share state kept: Kafka's own tests name the persister that keeps none, or leave the name empty. */
export function isShareStateKept(persisterClassName: string): boolean {
  return persisterClassName !== "" && !persisterClassName.endsWith(".NoOpStatePersister");
}

export class SharePersister {
  private readonly parts: AddressParts;
  private readonly local: ShareCoordinator;
  private readonly isKept: boolean;

  constructor(parts: AddressParts, local: ShareCoordinator, isKept: boolean) {
    this.parts = parts;
    this.local = local;
    this.isKept = isKept;
  }

  private addressOf(key: ShareKey): ShardAddress {
    const partition = this.local.partitionOf(key);
    return partition === null ? "here" : addressOfPartition(this.parts, shareGroupStateTopic, partition);
  }

  async initialize(key: ShareKey, ask: { stateEpoch: number; startOffset: number }): Promise<ShareOutcome> {
    if (!this.isKept) return done;
    const at = this.addressOf(key);
    if (at === "here") return this.local.initialize(key, ask);
    const { startOffset, stateEpoch } = ask;
    const row = { partition: key.partition, stateEpoch, startOffset: BigInt(startOffset) };
    return outcomeOf(key, await askFor(at, ApiKey.InitializeShareGroupState, requestOf(key, row)));
  }

  async read(key: ShareKey, leaderEpoch: number): Promise<ToldShareRead> {
    if (!this.isKept) return nothingKept;
    const at = this.addressOf(key);
    if (at === "here") return this.local.read(key, leaderEpoch);
    const answer = await askFor(
      at,
      ApiKey.ReadShareGroupState,
      requestOf(key, { partition: key.partition, leaderEpoch }),
    );
    const row = rowOf(key, answer);
    if (row === null) return notCoordinator;
    const { errorCode, errorMessage, startOffset, stateBatches, stateEpoch } = row;
    if (errorCode !== ErrorCode.NONE) return { errorCode, errorMessage };
    const batches = stateBatches.map(batchOf);
    const state = { stateEpoch, leaderEpoch, startOffset: Number(startOffset), deliveryCompleteCount: -1, batches };
    return { errorCode, errorMessage, state };
  }

  async write(key: ShareKey, write: ShareWrite): Promise<ShareOutcome> {
    if (!this.isKept) return done;
    const at = this.addressOf(key);
    if (at === "here") return this.local.write(key, write);
    const { deliveryCompleteCount, leaderEpoch, startOffset, stateBatches, stateEpoch } = write;
    const row = {
      ...{ partition: key.partition, stateEpoch, leaderEpoch, deliveryCompleteCount },
      startOffset: BigInt(startOffset),
      stateBatches: stateBatches.map(({ deliveryCount, deliveryState, firstOffset, lastOffset }) => ({
        ...{ firstOffset: BigInt(firstOffset), lastOffset: BigInt(lastOffset), deliveryState, deliveryCount },
      })),
    };
    return outcomeOf(key, await askFor(at, ApiKey.WriteShareGroupState, requestOf(key, row)));
  }

  async delete(key: ShareKey): Promise<ShareOutcome> {
    if (!this.isKept) return done;
    const at = this.addressOf(key);
    if (at === "here") return this.local.delete(key);
    const { partition } = key;
    return outcomeOf(key, await askFor(at, ApiKey.DeleteShareGroupState, requestOf(key, { partition })));
  }

  async summary(key: ShareKey): Promise<ToldShareRead> {
    if (!this.isKept) return nothingKept;
    const at = this.addressOf(key);
    if (at === "here") return this.local.summary(key);
    const asked = { partition: key.partition, leaderEpoch: -1 };
    const row = rowOf(key, await askFor(at, ApiKey.ReadShareGroupStateSummary, requestOf(key, asked)));
    if (row === null) return notCoordinator;
    const { deliveryCompleteCount, errorCode, errorMessage, leaderEpoch, startOffset, stateEpoch } = row;
    if (errorCode !== ErrorCode.NONE) return { errorCode, errorMessage };
    const state = { stateEpoch, leaderEpoch, startOffset: Number(startOffset), deliveryCompleteCount, batches: [] };
    // No state is told as one that nobody has consumed from.
    return { errorCode, errorMessage, state: state.startOffset === unsetOffset && stateEpoch === 0 ? null : state };
  }
}

function requestOf<Row>({ groupId, topicId }: ShareKey, row: Row) {
  return { groupId, topics: [{ topicId, partitions: [row] }] };
}

/** Null where there is no answer. */
async function askFor<Key extends ApiKey>(
  at: Exclude<ShardAddress, "here">,
  api: Key,
  request: RequestInitOf<Key>,
): Promise<ResponseOf<Key> | null> {
  try {
    return await at.peers.request(at.address, api, request, { timeoutMs: shardRequestMsMax, lane: shardLane });
  } catch {
    return null;
  }
}

interface Answer<Row> {
  readonly results: readonly { readonly partitions: readonly Row[] }[];
}

function rowOf<Row extends { readonly partition: number }>(key: ShareKey, answer: Answer<Row> | null): Row | null {
  return answer?.results[0]?.partitions.find(({ partition }) => partition === key.partition) ?? null;
}

function outcomeOf(
  key: ShareKey,
  answer: Answer<{
    readonly partition: number;
    readonly errorCode: number;
    readonly errorMessage: string | null;
  }> | null,
): ShareOutcome {
  const row = rowOf(key, answer);
  return row === null ? notCoordinator : { errorCode: row.errorCode, errorMessage: row.errorMessage };
}
