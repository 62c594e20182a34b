// The decisions as scripts that people can read: testdata/*.txt. A command begins with `>`, what it answers and which records it writes
// follow; each file is one cluster from its beginning. `UPDATE_SCRIPTS=1 npx vitest run core/controller` writes what comes out: read the diff.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { seededRandom, type Uuid } from "../../base/index.ts";
import { parseBrokerSettings } from "../../model/settings/index.ts";
import { decodeMetadataRecord, encodeMetadataRecord, errorOf, type MetadataRecordInit } from "../../protocol/index.ts";
import { bootstrapRecords, featureRecords } from "../bootstrap.ts";
import { featuresOfNewCluster, supportedFeatures } from "../features-table.ts";
import { MetadataDelta, MetadataImage, MetadataReplayer } from "../image/index.ts";
import {
  allocateProducerIds,
  alterClientQuotas,
  alterConfigs,
  alterPartition,
  alterPartitionReassignments,
  alterUserScramCredentials,
  assignReplicasToDirectories,
  balanceLeaders,
  beginControlledShutdown,
  brokerHeartbeat,
  createPartitions,
  createTopics,
  type DecideContext,
  type Decision,
  DecisionRefused,
  decisionOf,
  deleteTopics,
  electLeaders,
  electUncleanLeaders,
  fenceBroker,
  incrementalAlterConfigs,
  registerBroker,
  registerController,
  unfenceBroker,
  unregisterBroker,
  updateFeatures,
} from "./index.ts";

// Arguments are what a script says: checked by what comes out.
// biome-ignore lint/suspicious/noExplicitAny: JSON of a script
type Arguments = any;
type Command = (context: DecideContext, args: Arguments) => Decision<unknown>;

const incarnation = (id: number): Uuid => Buffer.alloc(16, id).toString("base64url") as Uuid;

/** A reserved id is given as it is. */
const directoryId = (name: string): Uuid =>
  (name.startsWith("AAAA") ? name : Buffer.from(name.padEnd(16, ".")).toString("base64url")) as Uuid;
const topicId = (context: DecideContext, name: string): Uuid => context.image.topics.get(name)?.id ?? incarnation(99);
const epochOf = (context: DecideContext, id: number): number => context.image.cluster.broker(id)?.epoch ?? -1;

const commands: Readonly<Record<string, Command>> = {
  cluster: ({ settings }, { metadataVersion = 30 }) =>
    decisionOf(null, bootstrapRecords(featureRecords(featuresOfNewCluster(metadataVersion)), settings)),
  register: (context, { id, rack = null, directories = [`dir-${id}`], incarnation: number = id, previousEpoch = -1 }) =>
    registerBroker(context, {
      brokerId: id,
      clusterId: context.clusterId,
      incarnationId: incarnation(number),
      endpoints: [{ name: "PLAINTEXT", host: `host-${id}`, port: 9092, securityProtocol: 0 }],
      features: supportedFeatures(false),
      rack,
      directories: directories.map(directoryId),
      cordonedDirectories: null,
      previousBrokerEpoch: previousEpoch,
    }),
  unfence: (context, { id }) => unfenceBroker(context, id),
  fence: (context, { id }) => fenceBroker(context, id),
  controller: (context, { id }) =>
    registerController(context, {
      id,
      incarnationId: incarnation(id),
      zkMigrationReady: false,
      endpoints: new Map([["CONTROLLER", { name: "CONTROLLER", host: `host-${id}`, port: 9093, securityProtocol: 0 }]]),
      supportedFeatures: supportedFeatures(false),
    }),
  // Epochs that are not given are the present ones.
  heartbeat: (
    context,
    { id, epoch = epochOf(context, id), offset = epoch, lowest = 0, shutdownOffset = null, ...wants },
  ) =>
    brokerHeartbeat(
      context,
      {
        brokerId: id,
        brokerEpoch: epoch,
        currentMetadataOffset: offset,
        wantFence: wants.wantFence ?? false,
        wantShutDown: wants.wantShutDown ?? false,
        offlineDirectories: (wants.offline ?? []).map(directoryId),
        cordonedDirectories: wants.cordoned?.map(directoryId) ?? null,
      },
      { shutdownOffset, lowestActiveOffset: lowest },
    ),
  alterPartition: (context, { id, epoch = epochOf(context, id), topic, partition = 0, ...wanted }) => {
    const now = context.image.topics.partition(topic, partition);
    const isr = (wanted.isr as number[]).map((brokerId) => ({ brokerId, brokerEpoch: epochOf(context, brokerId) }));
    return alterPartition(context, {
      brokerId: id,
      brokerEpoch: epoch,
      topics: [
        {
          topicId: topicId(context, topic),
          partitions: [
            {
              partitionIndex: partition,
              leaderEpoch: (now?.leaderEpoch ?? 0) + (wanted.leaderEpoch ?? 0),
              partitionEpoch: (now?.partitionEpoch ?? 0) + (wanted.partitionEpoch ?? 0),
              leaderRecoveryState: wanted.recovery ?? 0,
              isr: isr.map((member) => ({ ...member, brokerEpoch: wanted.memberEpoch ?? member.brokerEpoch })),
            },
          ],
        },
      ],
    });
  },
  assign: (context, { id, epoch = epochOf(context, id), directory, topic, partition = 0 }) =>
    assignReplicasToDirectories(context, {
      brokerId: id,
      brokerEpoch: epoch,
      directories: [
        {
          id: directoryId(directory),
          topics: [{ topicId: topicId(context, topic), partitions: [{ partitionIndex: partition }] }],
        },
      ],
    }),
  shutdown: (context, { id }) => beginControlledShutdown(context, id),
  unregister: (context, { id }) => unregisterBroker(context, id),
  create: (context, { topics, validateOnly = false }) =>
    createTopics(
      context,
      {
        timeoutMs: 0,
        validateOnly,
        topics: topics.map((topic: Arguments) => ({
          ...{ numPartitions: -1, replicationFactor: -1, assignments: [] },
          ...topic,
          configs: Object.entries(topic.configs ?? {}).map(([name, value]) => ({ name, value })),
        })),
      },
      // The settings of an answer are the transcripts' affair.
      { mayDescribeConfigs: () => false },
    ),
  delete: (context, { names }) =>
    deleteTopics(
      context,
      names.map((name: string) => context.image.topics.get(name)?.id ?? incarnation(99)),
    ),
  grow: (context, { topics, validateOnly = false }) =>
    createPartitions(
      context,
      topics.map((topic: Arguments) => ({ assignments: null, ...topic })),
      validateOnly,
    ),
  configs: (context, { resources, validateOnly = false }) => incrementalAlterConfigs(context, resources, validateOnly),
  replaceConfigs: (context, { resources }) => alterConfigs(context, resources, false),
  balance: (context) => balanceLeaders(context),
  uncleanElections: (context) => electUncleanLeaders(context),
  elect: (context, { type, partitions }) => electLeaders(context, type, partitions ?? null),
  reassign: (context, { topics, mayChangeCount = true }) =>
    alterPartitionReassignments(context, { timeoutMs: 0, allowReplicationFactorChange: mayChangeCount, topics }),
  producerIds: (context, { broker, epoch }) => allocateProducerIds(context, broker, epoch),
  quotas: (context, { entries }) =>
    alterClientQuotas(context, {
      validateOnly: false,
      entries: entries.map(({ entity, ops }: Arguments) => ({
        entity: Object.entries(entity).map(([entityType, entityName]) => ({ entityType, entityName })),
        ops: Object.entries(ops).map(([key, value]) => ({ key, value: value ?? 0, remove: value === null })),
      })),
    }),
  scram: (context, { deletions = [], upsertions = [] }) =>
    alterUserScramCredentials(context, {
      deletions,
      upsertions: upsertions.map((upsertion: Arguments) => ({
        ...upsertion,
        salt: Buffer.from("salt"),
        saltedPassword: Buffer.from("salted"),
      })),
    }),
  features: (context, { updates, validateOnly = false }) =>
    updateFeatures(context, {
      timeoutMs: 0,
      validateOnly,
      featureUpdates: updates.map((update: Arguments) => ({ allowDowngrade: false, upgradeType: 1, ...update })),
    }),
};

class ScriptCluster {
  private readonly replayer = new MetadataReplayer(new MetadataImage());
  private readonly random = seededRandom(1);
  private readonly settings = parsedSettings();
  private nextOffset = 0;
  /** Ids are drawn: a script calls them by the name of what they belong to. */
  private readonly names = new Map<string, string>();

  run(line: string): string[] {
    const space = line.indexOf(" ");
    const name = space < 0 ? line : line.slice(0, space);
    const args = space < 0 ? {} : JSON.parse(line.slice(space));
    const command = commands[name];
    if (command === undefined) throw new Error(`no command ${name}`);
    let decision: Decision<unknown>;
    try {
      decision = command(this.context(), args);
    } catch (error) {
      if (!(error instanceof DecisionRefused)) throw error;
      return [`refused ${this.shown({ errorCode: error.errorCode })}`];
    }
    const lines = decision.records.map((record) => this.replay(record));
    if (decision.answer !== undefined && decision.answer !== null) lines.unshift(`= ${this.shown(decision.answer)}`);
    return lines;
  }

  private context(): DecideContext {
    return {
      image: this.replayer.image,
      settings: this.settings,
      supportedFeatures: supportedFeatures(false),
      ...{ nodeId: 1, clusterId: "cluster", kraftVersion: 1, random: this.random, nowMs: 0 },
      nextOffset: this.nextOffset,
    };
  }

  private replay(init: MetadataRecordInit): string {
    const record = decodeMetadataRecord(encodeMetadataRecord(init));
    if (record.type === "TopicRecord") this.names.set(record.value.topicId, record.value.name);
    const offset = this.nextOffset++;
    const delta = new MetadataDelta();
    this.replayer.replay(record, offset, 1, delta);
    this.settings.applyDynamic(this.replayer.image.configs.broker("1"), this.replayer.image.configs.broker(""));
    return `${offset} ${record.type} v${record.version} ${this.shown(init.value)}`;
  }

  private shown(value: unknown): string {
    const text = JSON.stringify(value, (key, field) => {
      if (/[eE]rrorCode$/.test(key) && typeof field === "number") return errorOf(field).name;
      // The words of an error are for people and may change; that there are some must not.
      if (key === "errorMessage" && field !== null) return "…";
      if (key === "throttleTimeMs" || key === "features" || isDefault(key, field)) return undefined;
      if (typeof field === "bigint") return Number(field);
      if (field?.type === "Buffer") return `${field.data.length} bytes`;
      return field;
    });
    return text.replace(/"([A-Za-z0-9_-]{22})"/g, (whole, id: string) => {
      const name = this.names.get(id);
      if (name !== undefined) return `"#${name}"`;
      const plain = Buffer.from(id, "base64url").toString("latin1");
      return /^dir-/.test(plain) ? `"${plain.replace(/\.+$/, "")}"` : whole;
    });
  }
}

/** Left out, so that a line shows what is special about its record. */
function isDefault(key: string, field: unknown): boolean {
  const hasNullDefault = ["eligibleLeaderReplicas", "lastKnownElr", "cordonedLogDirs", "rack"].includes(key);
  if (hasNullDefault && field === null) return true;
  if (["addingReplicas", "removingReplicas", "logDirs"].includes(key)) return JSON.stringify(field) === "[]";
  if (key === "leaderRecoveryState" || key === "inControlledShutdown" || key === "fenced") return field === 0;
  return key === "isMigratingZkBroker";
}

function parsedSettings() {
  const outcome = parseBrokerSettings({
    "process.roles": "broker,controller",
    "node.id": 1,
    listeners: "PLAINTEXT://:9092,CONTROLLER://:9093",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": "1@localhost:9093",
  });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.settings;
}

const folder = join(dirname(fileURLToPath(import.meta.url)), "testdata");

test.each(readdirSync(folder).sort())("%s", (file) => {
  const path = join(folder, file);
  const script = readFileSync(path, "utf8");
  const cluster = new ScriptCluster();
  const lines: string[] = [];
  for (const line of script.split("\n")) {
    if (line.startsWith(">")) lines.push(line, ...cluster.run(line.slice(1).trim()));
    else if (line === "" || line.startsWith("#")) lines.push(line);
  }
  const played = lines.join("\n");
  if (process.env.UPDATE_SCRIPTS === "1") writeFileSync(path, played);
  expect(played).toBe(script);
});
