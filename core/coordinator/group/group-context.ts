// What the parts of one group shard share: its groups, its timers, its settings, its view of topics.
import type { Logger, Random } from "../../base/index.ts";
import type { TimerTable, UndoLog, UndoMap } from "../runtime/index.ts";
import type { Group } from "./group.ts";
import type { GroupConfig } from "./group-config.ts";
import type { GroupTimer } from "./group-timers.ts";
import type { GroupTopics } from "./group-topics.ts";

export interface GroupShardPorts {
  readonly undo: UndoLog;
  readonly timers: TimerTable<GroupTimer>;
  readonly config: GroupConfig;
  readonly topics: GroupTopics;
  readonly random: Random;
  readonly logger: Logger;
}

export interface GroupContext extends GroupShardPorts {
  readonly groups: UndoMap<string, Group>;
}

/** As java.util.UUID prints a random one: classic member ids end in it. */
export function randomJavaUuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
