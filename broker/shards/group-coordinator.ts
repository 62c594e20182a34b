// The coordinator of groups on this broker: shards over `__consumer_offsets`, their settings and their view of topics.
import type { MetadataDelta } from "@blumfeld/core/controller";
import {
  type Decision,
  type GroupClient,
  type GroupConfig,
  type GroupRecord,
  GroupShard,
  type GroupTimer,
  memberErrorOfAppend,
  type ShardRuntime,
} from "@blumfeld/core/coordinator";
import { consumerOffsetsTopic } from "@blumfeld/core/model";
import { GroupLags } from "../lag/group-lag.ts";
import { registerLagMetrics } from "../lag/lag-metrics.ts";
import type { BrokerParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { groupConfigFrom } from "./group-config-source.ts";
import { GroupTopicsOfImage } from "./group-topics-source.ts";
import { ShardHost } from "./shard-host.ts";

export type GroupOutcome<Answer> =
  | { readonly errorCode: number; readonly answer?: undefined }
  | { readonly errorCode: 0; readonly answer: Answer };

export class GroupCoordinator {
  readonly host: ShardHost<GroupShard, GroupRecord, GroupTimer>;
  readonly config: GroupConfig;

  constructor(parts: BrokerParts) {
    const config = groupConfigFrom(parts);
    this.config = config;
    const topics = new GroupTopicsOfImage(parts.metadata);
    const { random, logger } = parts;
    this.host = new ShardHost(
      {
        topic: consumerOffsetsTopic,
        create: ({ undo, timers }) => new GroupShard({ undo, timers, config, topics, random, logger }),
      },
      parts,
    );
    parts.metadata.onImage((delta) => this.onImage(delta));
    registerLagMetrics(parts.meter, new GroupLags({ ...parts, groups: this }));
  }

  /** Those that are led here and loaded. */
  *shards(): Generator<GroupShard> {
    for (const { currentState, shard } of this.host.shards()) if (currentState === "active") yield shard;
  }

  private onImage(delta: MetadataDelta): void {
    if (delta.changedTopics.size === 0 && delta.removedTopics.length === 0) return;
    const removed = new Set(delta.removedTopics.map(({ name }) => name));
    const changed = new Set(removed);
    for (const { topic } of delta.changedTopics.values()) changed.add(topic.name);
    for (const shard of this.host.shards()) {
      shard.read(
        "topics changed",
        (groups) => groups.onTopicsChanged(changed),
        () => {},
      );
      if (removed.size === 0) continue;
      deleteTopics(shard, removed);
    }
  }

  /** `done` hears the answer when all that it speaks of is committed, or an error as groups' clients know it. */
  write<Answer>(
    groupId: string,
    what: string,
    decide: (shard: GroupShard, nowMs: number) => Decision<Answer, GroupRecord>,
    done: (outcome: GroupOutcome<Answer>) => void,
  ): void {
    this.host.write(groupId, what, decide, (outcome) => {
      if ("answer" in outcome) done(outcome);
      else done({ errorCode: memberErrorOfAppend(outcome.errorCode) });
    });
  }

  /** As `write`, for what changes nothing: what it shows is committed when it is answered. */
  read<Answer>(
    groupId: string,
    what: string,
    look: (shard: GroupShard, nowMs: number) => Answer,
    done: (outcome: GroupOutcome<Answer>) => void,
  ): void {
    this.write(groupId, what, (shard, nowMs) => ({ records: [], answer: look(shard, nowMs) }), done);
  }

  /** Each group's answer in the order of `groupIds`, when the last is there. */
  async each<Answer>(
    groupIds: readonly string[],
    ask: (groupId: string, done: (answer: Answer) => void) => void,
  ): Promise<Answer[]> {
    return Promise.all(groupIds.map((groupId) => new Promise<Answer>((resolve) => ask(groupId, resolve))));
  }
}

export function groupClientOf(context: RequestContext): GroupClient {
  const { clientId, clientAddress, apiVersion } = context;
  return { clientId: clientId ?? "", clientHost: `/${clientAddress}`, apiVersion };
}

/** Batch after batch; a shard that moved away leaves the rest to the next one's load and the next deletion. */
function deleteTopics(shard: ShardRuntime<GroupShard, GroupRecord, GroupTimer>, names: ReadonlySet<string>): void {
  shard.write(
    "topics deleted",
    (groups) => groups.offsets.deleteTopics(names),
    (outcome) => {
      if ("answer" in outcome && outcome.answer) deleteTopics(shard, names);
    },
  );
}
