// Subscriptions by regular expression: checked when a member brings one, resolved against all topics a little later, once for all members
// of the group, and again when topics have come or gone.
import { ErrorCode } from "../../../protocol/index.ts";
import type { GroupDecision, GroupRecord } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import { timerKeys } from "../group-timers.ts";
import { LinearRegex } from "../regex/linear-regex.ts";
import { RegexProblem } from "../regex/parse.ts";
import type { ConsumerGroup, RegexWork } from "./consumer-group.ts";
import type { ConsumerMember } from "./consumer-member.ts";
import { groupEpochRecord, regexRecord, regexTombstone } from "./consumer-records.ts";
import { metadataHashOf } from "./metadata-hash.ts";
import { type Refused, refused } from "./refused.ts";

/** Between two resolutions of one group; Kafka's fixed values. */
export const regexIntervalMsMin = 10_000;
export const regexIntervalMsMax = 10 * 60_000;

const noTopics: ReadonlySet<string> = new Set();

/** Steps of matching in one turn of the loop: some milliseconds. */
export const matchingWorkMax = 100_000;

export class ConsumerRegexes {
  private readonly context: GroupContext;
  /** What was checked last is what is looked for next. */
  private lastCompiled: LinearRegex | null = null;

  constructor(context: GroupContext) {
    this.context = context;
  }

  /** Null: the expression is one. */
  problemOf(pattern: string): Refused | null {
    try {
      this.lastCompiled = new LinearRegex(pattern);
      return null;
    } catch (error) {
      if (!(error instanceof RegexProblem)) throw error;
      const text = `SubscribedTopicRegex \`${pattern.slice(0, 255)}\` is not a valid regular expression: ${error.message}.`;
      return refused(ErrorCode.INVALID_REGULAR_EXPRESSION, text);
    }
  }

  /** What a member's new subscription means for the group's expressions. True: its topics are known already, and others than before. */
  onMember(group: ConsumerGroup, before: ConsumerMember, after: ConsumerMember, records: GroupRecord[]): boolean {
    const old = before.subscribedTopicRegex;
    const now = after.subscribedTopicRegex;
    if (old === now) return false;
    if (old !== "" && this.subscriberCount(group, old, after.memberId) === 0 && group.regexes.has(old))
      records.push(regexTombstone(group.groupId, old));
    return now === "" || group.regexes.has(now);
  }

  private subscriberCount(group: ConsumerGroup, regex: string, exceptMemberId: string): number {
    let count = 0;
    for (const member of group.members.values())
      if (member.subscribedTopicRegex === regex && member.memberId !== exceptMemberId) count++;
    return count;
  }

  /** Asks for the expressions to be resolved, where it is time. */
  askWhenDue(
    group: ConsumerGroup,
    after: ConsumerMember,
    nowMs: number,
    mayFindTopic: ((topic: string) => boolean) | undefined,
  ): void {
    const { groupId } = group;
    // Whoever has a pattern says so by heartbeats of its own; the others do not look through all members for it.
    if (after.subscribedTopicRegex === "" || group.isResolvingRegexes) return;
    if (nowMs < group.regexesAskedMs + regexIntervalMsMin) return;
    let isAny = false;
    let isDue = false;
    for (const member of group.membersWith(after)) {
      const regex = member.subscribedTopicRegex;
      if (regex === "") continue;
      isAny = true;
      const resolved = group.regexes.get(regex);
      if (resolved === undefined || resolved.version < this.context.topics.version) isDue = true;
    }
    if (!isAny || (!isDue && nowMs < group.regexesAskedMs + regexIntervalMsMax)) return;
    group.isResolvingRegexes = true;
    group.mayFindTopic = mayFindTopic ?? null;
    group.regexesAskedMs = nowMs;
    this.context.timers.set(timerKeys.consumerRegex(groupId), 0, { kind: "consumer-regex", groupId });
  }

  /** Looks for the topics of all patterns; where that is much work, a slice of it, and goes on a little later. */
  resolve(group: ConsumerGroup, nowMs: number): GroupDecision<void> {
    const { groupId } = group;
    const work = group.regexWork ?? this.begin(group);
    group.regexWork = work;
    const untilCount = work.workCount + matchingWorkMax;
    for (; work.patternIndex < work.patterns.length; work.patternIndex++, work.nameIndex = 0) {
      const pattern = work.patterns[work.patternIndex]!;
      const regex = work.nameIndex === 0 ? this.compiled(pattern) : work.regex;
      work.regex = regex;
      if (work.nameIndex === 0) work.found.set(pattern, new Set());
      const matching = work.found.get(pattern)!;
      while (regex !== null && work.nameIndex < work.names.length) {
        const name = work.names[work.nameIndex++]!;
        const before = regex.workCount;
        if (regex.matches(name) && group.mayFindTopic?.(name) !== false) matching.add(name);
        work.workCount += regex.workCount - before + 1;
        if (work.workCount < untilCount) continue;
        this.context.timers.set(timerKeys.consumerRegex(groupId), 1, { kind: "consumer-regex", groupId });
        return { records: [], answer: undefined };
      }
    }
    group.regexWork = null;
    group.isResolvingRegexes = false;
    return { records: this.recordsOf(group, work, nowMs), answer: undefined };
  }

  private begin(group: ConsumerGroup): RegexWork {
    const { topics } = this.context;
    const patterns = new Set<string>();
    for (const { subscribedTopicRegex } of group.members.values())
      if (subscribedTopicRegex !== "") patterns.add(subscribedTopicRegex);
    return {
      ...{ patterns: [...patterns], names: [...topics.names()], version: topics.version },
      ...{ patternIndex: 0, nameIndex: 0, regex: null, workCount: 0, found: new Map() },
    };
  }

  private recordsOf(group: ConsumerGroup, { found, version }: RegexWork, timestampMs: number): GroupRecord[] {
    const { groupId } = group;
    const records: GroupRecord[] = [];
    const wanted = new Set<string>();
    const names = new Set<string>();
    let hasChanged = false;
    // Members may have come and gone since it began: a pattern that is not known yet is asked for with a next heartbeat.
    for (const { subscribedTopicNames, subscribedTopicRegex: pattern } of group.members.values()) {
      for (const name of subscribedTopicNames) names.add(name);
      if (pattern === "") continue;
      wanted.add(pattern);
      for (const name of found.get(pattern) ?? group.regexes.get(pattern)?.topics ?? []) names.add(name);
    }
    for (const [pattern, topics] of found) {
      if (!wanted.has(pattern)) continue;
      hasChanged ||= !sameSet(group.regexes.get(pattern)?.topics ?? noTopics, topics);
      records.push(regexRecord(groupId, pattern, { topics, version, timestampMs }));
    }
    for (const pattern of group.regexes.keys())
      if (!wanted.has(pattern)) records.push(regexTombstone(groupId, pattern));
    if (hasChanged)
      records.push(groupEpochRecord(groupId, group.groupEpoch + 1, metadataHashOf(names, this.context.topics)));
    return records;
  }

  /** Null: Kafka's engine took it, from a log that Kafka wrote; what this one does not know matches nothing. */
  private compiled(pattern: string): LinearRegex | null {
    if (this.lastCompiled?.pattern === pattern) return this.lastCompiled;
    try {
      return new LinearRegex(pattern);
    } catch (error) {
      if (!(error instanceof RegexProblem)) throw error;
      const fields = { pattern: pattern.slice(0, 255), problem: error.message };
      this.context.logger.warn(fields, "a subscription matches nothing");
      return null;
    }
  }
}

function sameSet(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  if (one.size !== other.size) return false;
  for (const each of one) if (!other.has(each)) return false;
  return true;
}
