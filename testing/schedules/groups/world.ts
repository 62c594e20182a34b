// The world that the members of one group live in: a shard over a log in memory, a second one that replays each batch as it is written, topics that
// grow, and the offsets that were acknowledged, as a plain map. After each step:
//
//   - what the shard remembers is what a replay of its log gives
//   - the offsets in the shard are those that were acknowledged, and none went back
//   - no partition is owned by two members that the coordinator counts as members of the generation
import { strict as assert } from "node:assert";
import { seededRandom } from "@blumfeld/core/base";
import type { Decision, GroupConfig, GroupRecord, GroupShard } from "@blumfeld/core/coordinator";
import { TestShard, TestTopics } from "@blumfeld/core/coordinator/group/fixture";
import { ErrorCode } from "@blumfeld/core/protocol";
import { lastingState } from "./lasting-state.ts";

export const groupId = "g";
export const client = { clientId: "c", clientHost: "/127.0.0.1", apiVersion: 9 };

/** One member as it sees itself. */
export interface Member {
  readonly name: string;
  readonly instanceId: string | null;
  isPaused: boolean;
  /** It ended: by itself, killed, or fenced for good. */
  isGone: boolean;
  /** Does what is next for it. */
  step(): void;
  /** Of the classic protocol: joins though nobody asked it to. */
  joinAgain?(): void;
  /** Goes in order. */
  leave(): void;
  /** `topic:partition` of what it reads from. */
  readonly owned: ReadonlySet<string>;
  /** Whether the coordinator takes it for a member of the generation that it believes itself in. */
  isRecognised(): boolean;
  /** It waits for nothing and is where the coordinator believes it to be. */
  isSettled(): boolean;
  /** Not while it joins anew: its clients keep a commit back then. */
  mayCommit(): boolean;
  committer(): {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly generationOrEpoch: number;
  };
  /** Where it goes on in each partition that it owns, once it has asked. */
  readonly positions: Map<string, number>;
}

export type Random = ReturnType<typeof seededRandom>;

export class World {
  readonly random: Random;
  readonly topics = new TestTopics();
  readonly partitionCounts = new Map<string, number>();
  readonly members: Member[] = [];
  readonly committed = new Map<string, number>();
  test: TestShard;
  /** By generation: how many partitions its leader dealt out. A static leader that comes back goes on from there. */
  readonly dealtCounts = new Map<number, number>();
  /** A record was refused: a classic group may then be ahead of its log. */
  wasRefused = false;
  private replica: TestShard;
  private replicated = 0;
  private isInPeace = false;

  constructor(seed: number, config: Partial<GroupConfig>, partitionCounts: Readonly<Record<string, number>>) {
    this.random = seededRandom(seed);
    for (const [name, count] of Object.entries(partitionCounts)) {
      this.partitionCounts.set(name, count);
      this.topics.set(name, count);
    }
    const options = { topics: this.topics, config, seed };
    this.test = TestShard.empty(options);
    this.replica = TestShard.loading(options);
  }

  get shard(): GroupShard {
    return this.test.shard;
  }

  below(bound: number): number {
    return this.random.below(bound);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  decide<Answer>(
    what: (shard: GroupShard, nowMs: number) => Decision<Answer, GroupRecord>,
  ): Answer | { errorCode: number } {
    return this.test.decide(what);
  }

  grow(name: string): void {
    const count = this.partitionCounts.get(name)! + 1;
    this.partitionCounts.set(name, count);
    this.topics.set(name, count);
    this.test.shard.onTopicsChanged(new Set([name]));
  }

  refuse(isRefusing: boolean): void {
    this.test.refusing = isRefusing ? ErrorCode.NOT_ENOUGH_REPLICAS : null;
    this.wasRefused ||= isRefusing;
  }

  /** The coordinator moves: whoever waits is told, and the log is read anew. */
  reload(): void {
    const { refusing } = this.test;
    this.test.runtime.close();
    this.test = this.test.reloaded();
    this.test.refusing = refusing;
    // What was never written is forgotten with the shard that held it.
    this.wasRefused = refusing !== null;
  }

  // --- offsets ---------------------------------------------------------------------------------

  /** Asks where to go on in partitions that came. A member that is none any more learns nothing. */
  fetchPositions(member: Member): void {
    const missing = [...member.owned].filter((place) => !member.positions.has(place));
    for (const place of [...member.positions.keys()]) if (!member.owned.has(place)) member.positions.delete(place);
    if (missing.length === 0) return;
    const { generationOrEpoch, memberId } = member.committer();
    const places = missing.map((place) => place.split(":") as [string, string]);
    const topics = places.map(([name, partition]) => ({ name, partitionIndexes: [Number(partition)] }));
    const answer = this.shard.offsets.fetch({
      ...{ groupId, topics, isStableRequired: true },
      ...{ memberId, memberEpoch: generationOrEpoch },
    });
    if (answer.errorCode !== ErrorCode.NONE) return;
    answer.topics.forEach(({ partitions }, at) => {
      const { committedOffset, errorCode } = partitions[0]!;
      if (errorCode === ErrorCode.NONE) member.positions.set(missing[at]!, Math.max(0, Number(committedOffset)));
    });
  }

  /** Reads on in all that the member owns, and commits. */
  commit(member: Member): void {
    this.fetchPositions(member);
    if (member.positions.size === 0 || !member.mayCommit()) return;
    for (const [place, position] of member.positions) member.positions.set(place, position + this.below(3));
    const places = [...member.positions];
    const { groupInstanceId, memberId, generationOrEpoch } = member.committer();
    const committer = { memberId, groupInstanceId, generationOrEpoch, isTransactional: false, apiVersion: 9 };
    const topics = places.map(([place, position]) => {
      const [name, partition] = place.split(":") as [string, string];
      const offset = { committedOffset: BigInt(position), committedLeaderEpoch: -1, committedMetadata: null };
      return { name, partitions: [{ partitionIndex: Number(partition), ...offset }] };
    });
    const answer = this.decide((shard, nowMs) =>
      shard.offsets.commit({ groupId, committer, retentionMs: -1, topics }, nowMs),
    );
    if (answer.errorCode !== ErrorCode.NONE) return;
    for (const [place, position] of places) {
      const before = this.committed.get(place) ?? 0;
      assert(position >= before, `${member.name} commits ${position} for ${place}, where ${before} is committed`);
      this.committed.set(place, position);
    }
  }

  // --- what must hold --------------------------------------------------------------------------

  check(): void {
    this.checkOwners();
    this.checkOffsets();
    this.checkReplay();
  }

  private checkOwners(): void {
    const owners = new Map<string, string>();
    for (const member of this.members) {
      if (member.isGone || member.owned.size === 0 || !member.isRecognised()) continue;
      for (const place of member.owned) {
        const other = owners.get(place);
        assert(other === undefined, `${place} is owned by ${other} and ${member.name}`);
        owners.set(place, member.name);
      }
    }
  }

  private checkOffsets(): void {
    let count = 0;
    for (const [topic, partitions] of this.shard.store.ofGroup(groupId) ?? []) {
      for (const [partition, stored] of partitions) {
        count++;
        const acknowledged = this.committed.get(`${topic}:${partition}`);
        assert(
          Number(stored.offset) === acknowledged,
          `${topic}:${partition} is ${stored.offset}, not ${acknowledged}`,
        );
      }
    }
    assert(count === this.committed.size, `${count} offsets are kept, ${this.committed.size} were acknowledged`);
  }

  private checkReplay(): void {
    const { batches } = this.test;
    // In peace nothing else changes what is remembered than what is written.
    if (this.isInPeace && this.replicated === batches.length) return;
    for (; this.replicated < batches.length; this.replicated++) this.replica.loadBatches(batches[this.replicated]!);
    const live = lastingState(this.shard, groupId, this.wasRefused);
    const replayed = lastingState(this.replica.shard, groupId, this.wasRefused);
    // Null: the group is in a state that is in no record.
    if (live !== null && replayed !== null) assert.equal(replayed, live, "a replay gives another state");
  }

  // --- the end ---------------------------------------------------------------------------------

  /** Left in peace the group comes to rest: every partition of the topics has one owner, who is where the coordinator believes it to be. */
  settle(wantedOf: (member: Member) => readonly string[]): void {
    this.refuse(false);
    this.isInPeace = true;
    this.endDoubles();
    const alive = this.members.filter(({ isGone }) => !isGone);
    for (const member of alive) member.isPaused = false;
    for (let round = 0; round < 120; round++) {
      this.test.pass(3000);
      for (const member of alive) if (!member.isGone) member.step();
      // A group that went back to the classic protocol without a rebalance has no member that knows it leads: nobody watches the topics until the
      // next one, with Kafka's coordinator too.
      if (round === 60) for (const member of alive) if (!member.isGone) member.joinAgain?.();
      this.check();
      const left = alive.filter(({ isGone }) => !isGone);
      const isQuiet = left.every((member) => member.isSettled()) && this.isAllOwned(left, wantedOf);
      if (isQuiet && (left.length === 0 || this.shard.group(groupId)?.stateName() === "Stable")) return;
    }
    const state = this.shard.group(groupId)?.stateName();
    const owned = alive.map(({ isGone, name, owned: own }) => `${name}${isGone ? " (gone)" : ""}: ${[...own]}`);
    assert.fail(`the group never comes to rest: ${state}; ${owned.join("; ")}`);
  }

  /** Of those that run under one instance id only one can stay. */
  private endDoubles(): void {
    for (const member of this.members) {
      if (member.isGone || member.instanceId === null) continue;
      const doubles = this.members.filter(({ instanceId, isGone }) => !isGone && instanceId === member.instanceId);
      const holder = doubles.find((double) => double.isRecognised()) ?? doubles[0];
      for (const double of doubles) if (double !== holder) double.isGone = true;
    }
  }

  private isAllOwned(alive: readonly Member[], wantedOf: (member: Member) => readonly string[]): boolean {
    const wanted = new Set(alive.flatMap((member) => wantedOf(member)));
    let count = 0;
    for (const name of wanted) count += this.partitionCounts.get(name) ?? 0;
    return alive.reduce((sum, { owned }) => sum + owned.size, 0) === count;
  }
}
