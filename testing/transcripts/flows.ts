// The recorded flows that are replayed, with what each needs beforehand, and those that are not replayed so far, with the reason.
import { ApiKey, apis, decodeRequestHead, decodeResponseFrame } from "@blumfeld/core/protocol";
import { isStruct } from "./compare.ts";
import type { SetupClient } from "./setup.ts";
import type { FrameLine, Line } from "./transcript.ts";

export interface Flow {
  readonly name: string;
  /** Topics that there are before the first line: partitions, records, settings. */
  readonly topics: readonly {
    readonly name: string;
    readonly partitionCount: number;
    readonly recordCount?: number;
    readonly configs?: Readonly<Record<string, string>>;
  }[];
  /** Further steps, before the request of the admin client with this correlation id; 0: before the first line. */
  readonly steps?: Readonly<Record<number, (client: SetupClient) => Promise<void>>>;
  /** Names of the flow's own; what else the recorded cluster held is left out of listings. */
  readonly names?: readonly string[];
  /** Groups whose coordinator is there before the first line. */
  readonly groups?: readonly string[];
  /** As slow as it was recorded. */
  readonly isPaced?: boolean;
  /** A topic id that no recorded answer names, by the client id of the request that carries it. */
  readonly topicOfClient?: Readonly<Record<string, string>>;
}

const resourceTypeBroker = 4;
const resourceTypeGroup = 32;

export const flows: readonly Flow[] = [
  { name: "plain", topics: [{ name: "plain", partitionCount: 2 }] },
  {
    name: "idempotent",
    topics: [{ name: "idem", partitionCount: 1 }],
    steps: { 0: (client) => client.awaitProducerIds() },
  },
  { name: "api-versions", topics: [] },
  {
    name: "admin-topics",
    topics: [],
    names: ["ad-one", "ad-two"],
    steps: { 17: (client) => client.fill("ad-two", 1, 6) },
  },
  {
    name: "admin-cluster",
    topics: [{ name: "ad-c", partitionCount: 1, recordCount: 2 }],
    steps: { 0: (client) => client.awaitTransactionCoordinator("nobody") },
  },
  {
    name: "admin-configs",
    topics: [{ name: "ad-cfg", partitionCount: 1 }],
    names: ["ad-g", "ad-m"],
    steps: { 0: (client) => client.setConfig(resourceTypeBroker, "", "num.io.threads", "8") },
  },
  {
    name: "errors-produce-fetch",
    topics: [
      { name: "err", partitionCount: 1, recordCount: 3, configs: { "max.message.bytes": "1000" } },
      { name: "err-c", partitionCount: 1, configs: { "cleanup.policy": "compact" } },
    ],
    topicOfClient: { "raw: no key for compaction": "err-c" },
  },
  { name: "group-range", topics: [{ name: "g-range", partitionCount: 4, recordCount: 8 }], groups: ["g-range"] },
  {
    name: "group-cooperative",
    topics: [{ name: "g-coop", partitionCount: 4, recordCount: 8 }],
    groups: ["g-coop"],
    isPaced: true,
  },
  { name: "group-static", topics: [{ name: "g-static", partitionCount: 2, recordCount: 4 }], groups: ["g-static"] },
  {
    name: "admin-groups",
    topics: [{ name: "ad-grp", partitionCount: 2, recordCount: 4 }],
    groups: ["ad-group"],
    names: ["ad-group"],
  },
  {
    name: "group-consumer",
    topics: [{ name: "g-848", partitionCount: 4, recordCount: 8 }],
    groups: ["g-848"],
    isPaced: true,
  },
  {
    name: "group-consumer-regex",
    topics: [{ name: "rx-a", partitionCount: 1, recordCount: 2 }],
    groups: ["g-rx"],
    isPaced: true,
  },
  {
    name: "transactions",
    topics: [
      { name: "tx-in", partitionCount: 1, recordCount: 3 },
      { name: "tx", partitionCount: 2 },
    ],
    groups: ["tx-group"],
    steps: { 0: (client) => client.awaitTransactionCoordinator("nobody") },
  },
  {
    name: "transactions-fenced",
    topics: [{ name: "fence", partitionCount: 1 }],
    steps: { 0: (client) => client.awaitTransactionCoordinator("nobody") },
  },
  {
    name: "errors-groups-tx",
    topics: [{ name: "eg", partitionCount: 1, recordCount: 2 }],
    groups: ["eg-g", "eg-848"],
    steps: { 0: (client) => client.awaitTransactionCoordinator("nobody") },
    topicOfClient: { "raw: commit by id": "eg" },
  },
  {
    name: "streams-group",
    topics: [
      { name: "st-in", partitionCount: 2, recordCount: 4 },
      { name: "st-out", partitionCount: 1 },
    ],
    names: ["g-streams-counts-repartition", "g-streams-counts-changelog"],
    isPaced: true,
  },
  {
    name: "share-group",
    topics: [{ name: "sh", partitionCount: 2 }],
    groups: ["g-share"],
    steps: {
      0: async (client) => {
        await client.setConfig(resourceTypeGroup, "g-share", "share.auto.offset.reset", "earliest");
        await client.fillGathered("sh", 2, 8);
      },
      // Its producer wrote again while both members waited.
      499: (client) => client.fillGathered("sh", 2, 6),
    },
    isPaced: true,
  },
];

/** Recorded flows that are not replayed so far, and what they wait for. */
export const flowsSkipped: Readonly<Record<string, string>> = {
  "admin-security": "security: ACLs, SCRAM credentials, quotas, tokens",
  "sasl-plain": "security: SASL",
  "sasl-scram": "security: SASL",
  "sasl-raw": "security: SASL",
  cluster: "several nodes; its requests are those of brokers and controllers, not of clients",
};

/** The broker's settings when the flows were recorded, as far as they show in answers. */
export const flowProperties: Readonly<Record<string, string | number>> = {
  "auto.create.topics.enable": "false",
  "offsets.topic.num.partitions": 2,
  "transaction.state.log.num.partitions": 2,
  "share.coordinator.state.topic.num.partitions": 2,
  "log.index.size.max.bytes": 262144,
  "group.consumer.heartbeat.interval.ms": 1000,
  "group.consumer.min.heartbeat.interval.ms": 1000,
  "group.share.heartbeat.interval.ms": 1000,
  "group.share.min.heartbeat.interval.ms": 1000,
};

/** Settings of the recorded broker alone, or that name its ports and folders: not compared in DescribeConfigs of a broker. */
const ownSettings =
  /^(listener\.|listeners$|advertised\.listeners$|log\.dirs?$|controller\.(quorum|listener)|super\.users$|sasl\.enabled|authorizer\.|delegation\.token|node\.id$|broker\.id$|inter\.broker\.listener|process\.roles$|early\.start|metadata\.log\.dir)/;

/** Lists that tell of the whole cluster, by API: where they stand, and the field that names an element. */
const listings: Readonly<Record<string, readonly [path: readonly string[], name: string]>> = {
  Metadata: [["topics"], "name"],
  DescribeLogDirs: [["results", "topics"], "name"],
  ListConfigResources: [["configResources"], "resourceName"],
  ListGroups: [["groups"], "groupId"],
  ListTransactions: [["transactionStates"], "transactionalId"],
};

/**
 * Leaves in an answer's listings what belongs to the flow: its topics, or what was asked for by name and is not there. Of the APIs
 * those that are not skipped.
 */
export function scopeOf(
  flow: Flow,
  apisSkipped: ReadonlySet<number> = new Set(),
): (api: string, answer: Record<string, unknown>) => void {
  const names = new Set([
    ...flow.topics.map((topic) => topic.name),
    ...(flow.names ?? []),
    "1",
    "",
    "nowhere",
    "bad name",
  ]);
  const isOwn = (name: unknown): boolean => name === null || names.has(String(name));
  return (api, answer) => {
    if (api === "DescribeConfigs")
      filterAt(answer, ["results", "configs"], (each) => !ownSettings.test(String(each.name)));
    if (api === "ApiVersions") filterAt(answer, ["apiKeys"], (each) => !apisSkipped.has(Number(each.apiKey)));
    const listing = listings[api];
    if (listing !== undefined) filterAt(answer, listing[0], (each) => isOwn(each[listing[1]]));
  };
}

type Struct = Record<string, unknown>;

function filterAt(struct: Struct, path: readonly string[], keep: (each: Struct) => boolean): void {
  const [first, ...rest] = path;
  const array = struct[first!];
  if (!Array.isArray(array)) return;
  if (rest.length > 0) for (const each of array as Struct[]) filterAt(each, rest, keep);
  else struct[first!] = (array as Struct[]).filter(keep);
}

/** The recorded topic ids by name, as far as any recorded answer brings both. */
export function recordedTopicIds(lines: readonly Line[]): Map<string, string> {
  const ids = new Map<string, string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isStruct(value)) return;
    const name = value.name ?? value.topicName;
    const isTopic = typeof name === "string" && typeof value.topicId === "string" && value.errorCode === 0;
    if (isTopic) ids.set(name, value.topicId as string);
    for (const each of Object.values(value)) visit(each);
  };
  for (const line of lines) {
    if (line.dir !== "resp") continue;
    const { key, version, hex } = line as FrameLine;
    if (!apis.get(key)?.supports(version) || key === ApiKey.CreateTopics) continue;
    visit(decodeResponseFrame(key as ApiKey, version, Buffer.from(hex, "hex").subarray(4)));
  }
  return ids;
}

/** The topic id in the requests of the client with this id. */
export function topicIdOfClient(lines: readonly Line[], client: string): string | null {
  for (const line of lines) {
    if (line.dir !== "req" || (line as FrameLine).client !== client) continue;
    const head = decodeRequestHead(Buffer.from((line as FrameLine).hex, "hex").subarray(4));
    if ("unsupported" in head) continue;
    return topicIdIn(head.api.decodeRequest(head.reader, head.version));
  }
  return null;
}

function topicIdIn(value: unknown): string | null {
  if (isStruct(value) && typeof value.topicId === "string") return value.topicId;
  const parts = Array.isArray(value) ? value : isStruct(value) ? Object.values(value) : [];
  for (const each of parts) {
    const found = topicIdIn(each);
    if (found !== null) return found;
  }
  return null;
}
