// What a share group and the share coordinator have to agree on: for which partitions there is state. The group's records say so before and after; in
// between the share coordinator is asked.
import type { Uuid } from "@blumfeld/core/base";
import { type SharedTopic, ShareGroup, type ShareInitialization, type ShareOutcome } from "@blumfeld/core/coordinator";
import { ErrorCode } from "@blumfeld/core/protocol";
import type { GroupCoordinator } from "../shards/group-coordinator.ts";
import type { ShareCoordinator } from "../shards/share-coordinator.ts";
import type { HostedSharePartitions } from "./hosted-partitions.ts";

export interface KnownShareGroup {
  readonly isEmpty: boolean;
  readonly groupEpoch: number;
  readonly initialized: ReadonlyMap<Uuid, SharedTopic>;
  /** With those that are not confirmed. */
  readonly all: ReadonlyMap<Uuid, SharedTopic>;
}

/** Of a group that has consumed nothing: its settings say where it begins. */
const startOffsetUnset = -1;

export class ShareGroupStates {
  private readonly groups: GroupCoordinator;
  private readonly shares: ShareCoordinator;
  private readonly hosted: HostedSharePartitions;

  constructor(groups: GroupCoordinator, shares: ShareCoordinator, hosted: HostedSharePartitions) {
    this.groups = groups;
    this.shares = shares;
    this.hosted = hosted;
  }

  /** Null: there is no share group of the id. */
  known(groupId: string): Promise<{ readonly errorCode: number; readonly group: KnownShareGroup | null }> {
    return new Promise((resolve) =>
      this.groups.read(
        groupId,
        "share group",
        (shard): KnownShareGroup | null => {
          const group = shard.group(groupId);
          if (!(group instanceof ShareGroup)) return null;
          const { initialized, initializing } = group.states.get();
          const { groupEpoch, isEmpty } = group;
          return { isEmpty, groupEpoch, initialized, all: new Map([...initializing, ...initialized]) };
        },
        ({ errorCode, answer }) => resolve({ errorCode, group: answer ?? null }),
      ),
    );
  }

  /** After a heartbeat that wants partitions for which there is no state. */
  async initialize(groupId: string, { stateEpoch, topics }: ShareInitialization): Promise<void> {
    const outcomes = await this.each(groupId, topics, (key) =>
      this.shares.persistently(() =>
        this.shares.anywhere.initialize(key, { stateEpoch, startOffset: startOffsetUnset }),
      ),
    );
    const isDone = outcomes.every(({ errorCode }) => errorCode === ErrorCode.NONE);
    if (isDone) await this.confirm(groupId, topics);
    else await this.write(groupId, "share state not initialized", (shard) => shard.share.initializationFailed(groupId));
  }

  confirm(groupId: string, topics: ReadonlyMap<Uuid, SharedTopic>): Promise<number> {
    return this.write(groupId, "share state initialized", (shard) => shard.share.initialized(groupId, topics));
  }

  /** Forgets what is known of the topics' partitions. The first error, else 0. */
  async delete(groupId: string, topics: ReadonlyMap<Uuid, SharedTopic>): Promise<number> {
    if (topics.size === 0) return ErrorCode.NONE;
    this.hosted.forget(groupId, new Set(topics.keys()));
    const outcomes = await this.each(groupId, topics, (key) =>
      this.shares.persistently(() => this.shares.anywhere.delete(key)),
    );
    const failed = outcomes.find(({ errorCode }) => errorCode !== ErrorCode.NONE);
    if (failed !== undefined) return failed.errorCode;
    const ids = new Set(topics.keys());
    return this.write(groupId, "share state deleted", (shard) => shard.share.forgotten(groupId, ids));
  }

  private each(
    groupId: string,
    topics: ReadonlyMap<Uuid, SharedTopic>,
    ask: (key: { groupId: string; topicId: Uuid; partition: number }) => Promise<ShareOutcome>,
  ): Promise<ShareOutcome[]> {
    const asked: Promise<ShareOutcome>[] = [];
    for (const [topicId, { partitions }] of topics)
      for (const partition of partitions) asked.push(ask({ groupId, topicId, partition }));
    return Promise.all(asked);
  }

  private write(groupId: string, what: string, decide: Parameters<GroupCoordinator["write"]>[2]): Promise<number> {
    return new Promise((resolve) => this.groups.write(groupId, what, decide, ({ errorCode }) => resolve(errorCode)));
  }
}
