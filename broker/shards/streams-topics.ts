// Makes the internal topics of streams applications: repartition and changelog topics, in the name of the member that needs them. One request for a
// topic at a time; why a topic could not be made is kept for a while, so that the members' next heartbeats tell it.
import type { InternalTopic } from "@blumfeld/core/coordinator";
import { ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { ControllerOrigin } from "../metadata/controller-requests.ts";
import type { BrokerParts } from "../parts.ts";

/** Failures that are kept; the oldest goes first. */
export const topicFailureCountMax = 1000;

interface Failure {
  readonly reason: string;
  readonly untilMs: number;
}

export class StreamsTopicCreator {
  private readonly parts: Pick<BrokerParts, "controllerChannel" | "clock" | "logger">;
  private readonly underWay = new Set<string>();
  private readonly failures = new Map<string, Failure>();

  constructor(parts: Pick<BrokerParts, "controllerChannel" | "clock" | "logger">) {
    this.parts = parts;
  }

  /** `keepMs`: how long a failure is told. */
  create(topics: readonly InternalTopic[], origin: ControllerOrigin, keepMs: number): void {
    const wanted = topics.filter(({ name }) => !this.underWay.has(name));
    if (wanted.length === 0) return;
    for (const { name } of wanted) this.underWay.add(name);
    void this.request(wanted, origin, keepMs);
  }

  /** `topic (reason)` of those that could not be made lately. */
  failuresOf(topics: readonly InternalTopic[]): string[] {
    const nowMs = this.parts.clock.monotonicMs();
    return topics.flatMap(({ name }) => {
      const failure = this.failures.get(name);
      return failure === undefined || failure.untilMs < nowMs ? [] : [`${name} (${failure.reason})`];
    });
  }

  private async request(topics: readonly InternalTopic[], origin: ControllerOrigin, keepMs: number): Promise<void> {
    const { controllerChannel, clock, logger } = this.parts;
    const untilMs = (): number => clock.monotonicMs() + keepMs;
    try {
      const answer = await controllerChannel.request(
        ApiKey.CreateTopics,
        {
          topics: topics.map((topic) => ({
            ...topic,
            assignments: [],
            configs: topic.configs.map((one) => ({ ...one })),
          })),
          timeoutMs: origin.timeoutMs,
          validateOnly: false,
        },
        origin,
      );
      for (const { name, errorCode, errorMessage } of answer.topics) {
        this.failures.delete(name);
        if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) continue;
        this.fail(name, { reason: errorMessage ?? errorOf(errorCode).message, untilMs: untilMs() });
      }
    } catch (error) {
      logger.warn({ err: error }, "internal topics of a streams application could not be made");
      const reason = error instanceof Error ? error.message : String(error);
      for (const { name } of topics) this.fail(name, { reason, untilMs: untilMs() });
    } finally {
      for (const { name } of topics) this.underWay.delete(name);
    }
  }

  private fail(name: string, failure: Failure): void {
    this.failures.set(name, failure);
    if (this.failures.size <= topicFailureCountMax) return;
    const [oldest] = this.failures.keys();
    if (oldest !== undefined) this.failures.delete(oldest);
  }
}
