// Subscriptions by regular expression: checked when a member brings one, resolved against all topics a little later, once for all members
// of the group, and again when topics have come or gone.
import { ErrorCode } from "../../../protocol/index.ts";
import type { GroupDecision, GroupRecord } from "../group.ts";
import type { GroupContext } from "../group-context.ts";
import { timerKeys } from "../group-timers.ts";
import { LinearRegex } from "../regex/linear-regex.ts";
import { RegexProblem } from "../regex/parse.ts";
import type { ConsumerGroup, ResolvedRegex } from "./consumer-group.ts";
import type { ConsumerMember } from "./consumer-member.ts";
import { groupEpochRecord, regexRecord, regexTombstone } from "./consumer-records.ts";
import { metadataHashOf } from "./metadata-hash.ts";
import { type Refused, refused } from "./refused.ts";

/** Between two resolutions of one group; Kafka's fixed values. */
export const regexIntervalMsMin = 10_000;
export const regexIntervalMsMax = 10 * 60_000;

const noTopics: ReadonlySet<string> = new Set();

export class ConsumerRegexes {
  private readonly context: GroupContext;

  constructor(context: GroupContext) {
    this.context = context;
  }

  /** Null: the expression is one. */
  problemOf(pattern: string): Refused | null {
    try {
      new LinearRegex(pattern);
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

  resolve(group: ConsumerGroup, nowMs: number): GroupDecision<void> {
    group.isResolvingRegexes = false;
    const { topics } = this.context;
    const { groupId } = group;
    const records: GroupRecord[] = [];
    const wanted = new Set<string>();
    for (const { subscribedTopicRegex } of group.members.values())
      if (subscribedTopicRegex !== "") wanted.add(subscribedTopicRegex);
    const resolvedNow = new Map<string, ReadonlySet<string>>();
    let hasChanged = false;
    for (const pattern of wanted) {
      const resolved = this.resolveOne(group, pattern, nowMs);
      resolvedNow.set(pattern, resolved.topics);
      hasChanged ||= !sameSet(group.regexes.get(pattern)?.topics ?? noTopics, resolved.topics);
      records.push(regexRecord(groupId, pattern, resolved));
    }
    for (const pattern of group.regexes.keys())
      if (!wanted.has(pattern)) records.push(regexTombstone(groupId, pattern));
    if (hasChanged) {
      const names = new Set<string>();
      for (const member of group.members.values()) {
        for (const name of member.subscribedTopicNames) names.add(name);
        for (const name of resolvedNow.get(member.subscribedTopicRegex) ?? []) names.add(name);
      }
      records.push(groupEpochRecord(groupId, group.groupEpoch + 1, metadataHashOf(names, topics)));
    }
    return { records, answer: undefined };
  }

  private resolveOne(group: ConsumerGroup, pattern: string, timestampMs: number): ResolvedRegex {
    const { mayFindTopic } = group;
    const { version } = this.context.topics;
    const matching = new Set<string>();
    let regex: LinearRegex;
    try {
      regex = new LinearRegex(pattern);
    } catch (error) {
      // Kafka's engine took it, from a log that Kafka wrote; what this one does not know matches nothing.
      if (!(error instanceof RegexProblem)) throw error;
      this.context.logger.warn(
        { pattern: pattern.slice(0, 255), problem: error.message },
        "a subscription matches nothing",
      );
      return { topics: matching, version, timestampMs };
    }
    for (const name of this.context.topics.names())
      if (regex.matches(name) && mayFindTopic?.(name) !== false) matching.add(name);
    return { topics: matching, version, timestampMs };
  }
}

function sameSet(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  if (one.size !== other.size) return false;
  for (const each of one) if (!other.has(each)) return false;
  return true;
}
