// A share session's bound on partitions: what it holds already takes no room again.
import { expect, test } from "vitest";
import type { ConnectionContext } from "../request-context.ts";
import { ShareSession, type ShareSessionItem, shareSessionPartitionCountMax } from "./share-session.ts";

const topicId = "AAAAAAAAAAAAAAAAAAAAAQ" as ShareSessionItem["topicId"];
const items = (from: number, count: number): ShareSessionItem[] =>
  Array.from({ length: count }, (_, at) => ({ topicId, partition: from + at }));

test("a session takes partitions up to its bound", () => {
  const session = new ShareSession("g", "m", {} as ConnectionContext);
  expect(session.hasRoomFor(items(0, shareSessionPartitionCountMax))).toBe(true);
  expect(session.hasRoomFor(items(0, shareSessionPartitionCountMax + 1))).toBe(false);
  for (const item of items(0, shareSessionPartitionCountMax - 1)) session.add(item);
  expect(session.hasRoomFor(items(0, shareSessionPartitionCountMax))).toBe(true);
  expect(session.hasRoomFor(items(1, shareSessionPartitionCountMax))).toBe(false);
  session.remove(items(0, 1)[0]!);
  expect(session.hasRoomFor(items(1, shareSessionPartitionCountMax))).toBe(true);
});
