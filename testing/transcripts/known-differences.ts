// Where the broker answers otherwise than the recorded one, and why that is so. A row that no longer differs fails the test: the list shrinks.

export interface KnownDifference {
  readonly flow: string;
  /** Matches `request path: recorded became ours` of the finding. */
  readonly where: RegExp;
  readonly why: string;
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    flow: "group-range",
    where: /Fetch .*(logStartOffset|responses\[\]): /,
    why: "The recorded broker took the topic's records of 2023 away in the middle of the flow, by retention.ms.",
  },
  {
    flow: "streams-group",
    where: /(Metadata .*topics\[\]|StreamsGroupHeartbeat .*status\[\]: .*Internal topics are missing)/,
    why: "The recorded broker had just started and took seconds to make the application's internal topics; here they are there at once.",
  },
  {
    flow: "share-group",
    where: /^17[4-7] ShareGroupHeartbeat .*(memberEpoch|assignment): /,
    why: "The recorded broker took four seconds to make the topic of the share state; here the partitions come with an earlier heartbeat.",
  },
];

/** APIs that Apache Kafka offers to clients and this broker does not serve so far. Requests of theirs are not replayed. */
export const apisNotServed: Readonly<Record<string, readonly number[]>> = {};
