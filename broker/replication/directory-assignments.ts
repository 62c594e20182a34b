// Tells the controller in which log directories this broker's replicas lie (KIP-858), wherever the metadata says otherwise: a broker with several directories
// chooses among them, and replicas move. The controller then knows what is gone when one of them fails. One request at a time.
import type { Logger, Timers, Uuid } from "@blumfeld/core/base";
import { directoryLost } from "@blumfeld/core/controller";
import { ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { Partition } from "../partition/partition.ts";
import type { ControllerChannel } from "../parts.ts";
import { anonymousPrincipal } from "../security-seam.ts";

/** After a refusal, or while the broker is not registered. */
export const assignmentRetryMs = 500;
export const assignmentRequestMsMax = 30_000;
/** Kafka's bound for one request. */
export const assignmentsPerRequestMax = 2_250;

export interface DirectoryAssignmentsParts {
  readonly nodeId: number;
  readonly brokerEpoch: () => number;
  readonly channel: ControllerChannel;
  /** Null where a path has no id. */
  readonly directoryIdOf: (path: string) => Uuid | null;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class DirectoryAssignments {
  private readonly parts: DirectoryAssignmentsParts;
  private wanted = new Map<Partition, Uuid>();
  private isQueued = false;
  private isAsking = false;
  private isClosed = false;

  constructor(parts: DirectoryAssignmentsParts) {
    this.parts = parts;
  }

  /** `assigned`: what the metadata says of this broker's replica. */
  check(partition: Partition, assigned: Uuid | undefined): void {
    if (partition.log === null || assigned === undefined) return;
    const actual = this.parts.directoryIdOf(partition.log.directory);
    if (actual === null || actual === assigned || assigned === directoryLost) {
      this.wanted.delete(partition);
      return;
    }
    this.wanted.set(partition, actual);
    this.queue(0);
  }

  close(): void {
    this.isClosed = true;
    this.wanted.clear();
  }

  private queue(delayMs: number): void {
    if (this.isQueued || this.isAsking || this.isClosed) return;
    this.isQueued = true;
    this.parts.timers.after(delayMs, () => {
      this.isQueued = false;
      void this.send();
    });
  }

  private async send(): Promise<void> {
    const { brokerEpoch, logger } = this.parts;
    if (this.isClosed || this.wanted.size === 0) return;
    if (brokerEpoch() < 0) return this.queue(assignmentRetryMs);
    this.isAsking = true;
    let isTaken = false;
    try {
      isTaken = await this.request();
    } catch (error) {
      logger.debug({ error: String(error) }, "no controller took the log directories of replicas yet");
    }
    this.isAsking = false;
    if (this.wanted.size > 0) this.queue(isTaken ? 0 : assignmentRetryMs);
  }

  private async request(): Promise<boolean> {
    const { brokerEpoch, channel, logger, nodeId } = this.parts;
    const asked = [...this.wanted].slice(0, assignmentsPerRequestMax);
    const origin = { principal: anonymousPrincipal, clientAddress: "", listenerName: "", clientId: null };
    const request = { brokerId: nodeId, brokerEpoch: BigInt(brokerEpoch()), directories: directoriesOf(asked) };
    const answer = await channel.request(ApiKey.AssignReplicasToDirs, request, {
      ...origin,
      timeoutMs: assignmentRequestMsMax,
    });
    const { errorCode = ErrorCode.NONE } = answer;
    if (errorCode !== ErrorCode.NONE) {
      logger.warn({ error: errorOf(errorCode).name }, "the log directories of replicas were not taken; told again");
      return false;
    }
    // What was refused for one replica is none of this broker's any more; whatever is will be in the next metadata.
    for (const [partition, directory] of asked)
      if (this.wanted.get(partition) === directory) this.wanted.delete(partition);
    return true;
  }
}

function directoriesOf(asked: readonly (readonly [Partition, Uuid])[]) {
  const byDirectory = new Map<Uuid, Map<Uuid, { partitionIndex: number }[]>>();
  for (const [{ index, topicId }, id] of asked) {
    const topics = byDirectory.get(id) ?? new Map<Uuid, { partitionIndex: number }[]>();
    byDirectory.set(id, topics);
    const partitions = topics.get(topicId) ?? [];
    topics.set(topicId, partitions);
    partitions.push({ partitionIndex: index });
  }
  return Array.from(byDirectory, ([id, topics]) => ({
    id,
    topics: Array.from(topics, ([topicId, partitions]) => ({ topicId, partitions })),
  }));
}
