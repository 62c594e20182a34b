// The logs of `__share_group_state` that Apache Kafka left, replayed: what the shard then knows is what its last records say.
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { missingShared, sharedPath } from "../../../testing/shared.ts";
import type { Uuid } from "../../base/index.ts";
import type { ShareCoordinatorRecord } from "../../protocol/index.ts";
import { UndoLog } from "../runtime/index.ts";
import { type ShareState, ShareStateShard } from "./state-shard.ts";

interface Decoded {
  key: { type: string; data: { groupId: string; topicId: Uuid; partition: number } };
  value: { data: Record<string, unknown> } | null;
}

const path = sharedPath("protocol/data-dirs/data-clean.expected.json");
const big = ["startOffset", "firstOffset", "lastOffset", "createTimestamp", "writeTimestamp"];

test.skipIf(missingShared || !existsSync(path))("Kafka's share state is read", () => {
  const expected = JSON.parse(readFileSync(path, "utf8"), (key, value: unknown) =>
    big.includes(key) && (typeof value === "number" || typeof value === "string") ? BigInt(value) : value,
  ) as { disk: Record<string, { decoded?: Record<string, Decoded[]> }>; clients: { groups: Record<string, unknown> } };
  const states = new Map<string, ShareState>();
  for (const [name, { decoded }] of Object.entries(expected.disk)) {
    if (!name.startsWith("__share_group_state-")) continue;
    const shard = new ShareStateShard({ undo: new UndoLog(), config: { updateRecordsPerSnapshot: 500 } });
    for (const { key, value } of Object.values(decoded ?? {}).flat()) {
      const type = key.type === "0" ? "ShareSnapshot" : "ShareUpdate";
      const init = {
        type,
        key: key.data,
        valueVersion: 0,
        value: value && { deliveryCompleteCount: -1, ...value.data },
      };
      const encoded = shard.encode(init as ShareCoordinatorRecord);
      shard.replay(shard.decode(encoded.key, encoded.value)!);
      states.set(`codec-none-${key.data.partition}`, shard.stateOf(key.data)!);
    }
  }
  const group = expected.clients.groups["share-one"] as {
    shareOffsets: Record<string, { startOffset: bigint; leaderEpoch: number }>;
  };
  expect(states.size).toBe(Object.keys(group.shareOffsets).length);
  for (const [partition, { leaderEpoch, startOffset }] of Object.entries(group.shareOffsets)) {
    const state = states.get(partition)!;
    expect(state.stateEpoch).toBe(2);
    expect(state.leaderEpoch).toBe(leaderEpoch);
    expect(BigInt(Math.max(0, state.startOffset))).toBe(startOffset);
    for (const batch of state.batches) expect(batch.firstOffset).toBeGreaterThanOrEqual(state.startOffset);
  }
});
