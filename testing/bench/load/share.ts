// A share group that works as fast as it can: each member fetches, and acknowledges every record of the last answer with its next fetch.
import type { Uuid } from "@blumfeld/core/base";
import { ApiKey, type ResponseOf } from "@blumfeld/core/protocol";
import { type Caller, mustBeOk, openCallers, whenReady } from "./caller.ts";
import type { Target } from "./drive.ts";

export type ShareLoad = {
  readonly topic: string;
  readonly group: string;
  readonly memberCount: number;
  /** Stops after so many acknowledged records or so many seconds. */
  readonly recordsMax: number;
  readonly secondsMax: number;
};

const heartbeatVersion = 1;
const fetchVersion = 1;
const recordsPerFetchMax = 500;
const groupResource = 32;
const acceptType = 1;

type Acquired = { partitionIndex: number; firstOffset: bigint; lastOffset: bigint }[];
type Assignment = { topicId: Uuid; partitions: readonly number[] };

export async function startFromEarliest(target: Target, group: string): Promise<void> {
  const [caller] = await openCallers(target, 1);
  const answer = await caller!.call(ApiKey.IncrementalAlterConfigs, 1, {
    resources: [
      {
        resourceType: groupResource,
        resourceName: group,
        configs: [{ name: "share.auto.offset.reset", configOperation: 0, value: "earliest" }],
      },
    ],
    validateOnly: false,
  });
  mustBeOk("IncrementalAlterConfigs", answer.responses[0]!.errorCode);
  caller!.close();
}

class ShareMember {
  readonly #caller: Caller;
  readonly #load: ShareLoad;
  // A member's id is a UUID; a share session is found by it.
  readonly #memberId: string;
  #memberEpoch = 0;
  #sessionEpoch = 0;
  assignment: Assignment | null = null;
  #acquired: Acquired = [];

  constructor(caller: Caller, load: ShareLoad, index: number) {
    this.#caller = caller;
    this.#load = load;
    this.#memberId = Buffer.from(`bench-share-${String(index).padStart(4, "0")}`).toString("base64url");
  }

  async heartbeat(): Promise<void> {
    const answer = await whenReady(async () => {
      const value = await this.#caller.call(ApiKey.ShareGroupHeartbeat, heartbeatVersion, {
        groupId: this.#load.group,
        memberId: this.#memberId,
        memberEpoch: this.#memberEpoch,
        subscribedTopicNames: this.#memberEpoch === 0 ? [this.#load.topic] : null,
      });
      return { errorCode: value.errorCode, value };
    });
    this.#memberEpoch = answer.memberEpoch;
    if (answer.assignment !== null) this.assignment = answer.assignment.topicPartitions[0] ?? null;
  }

  async leave(): Promise<void> {
    this.#memberEpoch = -1;
    await this.heartbeat();
  }

  /** Fetches and acknowledges what came last; the number of records that this acknowledged. */
  async fetch(): Promise<number> {
    const { topicId, partitions } = this.assignment!;
    const first = this.#sessionEpoch === 0;
    const acknowledged = this.#acquired;
    const asked = first ? partitions : [...new Set(acknowledged.map((each) => each.partitionIndex))];
    const answer: ResponseOf<typeof ApiKey.ShareFetch> = await this.#caller.call(ApiKey.ShareFetch, fetchVersion, {
      groupId: this.#load.group,
      memberId: this.#memberId,
      shareSessionEpoch: this.#sessionEpoch++,
      maxWaitMs: 100,
      minBytes: 1,
      maxBytes: 16 * 1024 * 1024,
      maxRecords: recordsPerFetchMax,
      batchSize: recordsPerFetchMax,
      topics:
        asked.length === 0
          ? []
          : [
              {
                topicId,
                partitions: asked.map((partitionIndex) => ({
                  partitionIndex,
                  acknowledgementBatches: acknowledged
                    .filter((each) => each.partitionIndex === partitionIndex)
                    .map(({ firstOffset, lastOffset }) => ({
                      firstOffset,
                      lastOffset,
                      // One for each record, as a client sends that decides for each of them.
                      acknowledgeTypes: Array.from({ length: Number(lastOffset - firstOffset) + 1 }, () => acceptType),
                    })),
                })),
              },
            ],
      forgottenTopicsData: [],
    });
    mustBeOk("ShareFetch", answer.errorCode);
    const next: Acquired = [];
    for (const topic of answer.responses)
      for (const partition of topic.partitions) {
        mustBeOk("ShareFetch of a partition", partition.errorCode);
        mustBeOk("ShareFetch, acknowledgement", partition.acknowledgeErrorCode);
        for (const each of partition.acquiredRecords)
          next.push({
            partitionIndex: partition.partitionIndex,
            firstOffset: each.firstOffset,
            lastOffset: each.lastOffset,
          });
      }
    this.#acquired = next;
    return acknowledged.reduce((sum, each) => sum + Number(each.lastOffset - each.firstOffset) + 1, 0);
  }
}

/** Acknowledged records a second. */
export async function shareWork(target: Target, load: ShareLoad): Promise<number> {
  const callers = await openCallers(target, load.memberCount);
  try {
    const members = callers.map((caller, index) => new ShareMember(caller, load, index));
    const untilMs = performance.now() + 60_000;
    // The members' own heartbeats go on until each has partitions; afterwards a session lasts longer than the measure.
    while (members.some((member) => member.assignment === null || member.assignment.partitions.length === 0)) {
      if (performance.now() > untilMs) throw new Error("the members of the share group got no partitions within 60 s");
      for (const member of members) await member.heartbeat();
      await new Promise((wake) => setTimeout(wake, 50));
    }
    let records = 0;
    const startedMs = performance.now();
    let firstMs = 0;
    const over = (): boolean => records >= load.recordsMax || performance.now() - startedMs > load.secondsMax * 1000;
    await Promise.all(
      members.map(async (member) => {
        while (!over()) {
          const count = await member.fetch();
          // From the first acknowledgement on: what comes before is the group's state being made.
          if (records === 0 && count > 0) firstMs = performance.now();
          records += count;
        }
      }),
    );
    const seconds = (performance.now() - firstMs) / 1000;
    await Promise.all(members.map((member) => member.leave()));
    return records / seconds;
  } finally {
    for (const caller of callers) caller.close();
  }
}
