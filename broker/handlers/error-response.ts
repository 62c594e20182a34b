// Each API's own way to say that a whole request failed: at the top where the answer has a place for it, else beside every item that was
// asked for. Used for what a handler throws, and by handlers that refuse a request as a whole.
import { uuidZero } from "@blumfeld/core/base";
import type { ApiKey, RequestOf, ResponseInitOf } from "@blumfeld/core/protocol";

type Builder<Key extends ApiKey> = (
  request: RequestOf<Key>,
  errorCode: number,
  message: string | null,
) => ResponseInitOf<Key>;

const none = -1;
const throttleTimeMs = 0;
const noBytes = Buffer.alloc(0);

/** Answers that are nothing but their error, a message where there is room for one, and empty lists. */
const atTheTop: { readonly [Key in ApiKey]?: Builder<Key> } = {
  1: (_, errorCode) => ({ errorCode, responses: [] }),
  10: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    errorCode,
    errorMessage,
    nodeId: none,
    host: "",
    port: none,
    coordinators: request.coordinatorKeys.map((key) => ({
      key,
      nodeId: none,
      host: "",
      port: none,
      errorCode,
      errorMessage,
    })),
  }),
  11: (request, errorCode) => ({
    throttleTimeMs,
    errorCode,
    generationId: none,
    protocolType: null,
    protocolName: null,
    leader: "",
    memberId: request.memberId,
    members: [],
  }),
  12: (_, errorCode) => ({ throttleTimeMs, errorCode }),
  13: (_, errorCode) => ({ throttleTimeMs, errorCode, members: [] }),
  14: (_, errorCode) => ({ throttleTimeMs, errorCode, assignment: noBytes }),
  16: (_, errorCode) => ({ throttleTimeMs, errorCode, groups: [] }),
  17: (_, errorCode) => ({ errorCode, mechanisms: [] }),
  18: (_, errorCode) => ({ errorCode, apiKeys: [] }),
  22: (_, errorCode) => ({ throttleTimeMs, errorCode, producerId: none, producerEpoch: none }),
  25: (_, errorCode) => ({ throttleTimeMs, errorCode }),
  26: (_, errorCode) => ({ throttleTimeMs, errorCode }),
  29: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, resources: [] }),
  35: (_, errorCode) => ({ throttleTimeMs, errorCode, results: [] }),
  36: (_, errorCode, errorMessage) => ({ errorCode, errorMessage, authBytes: noBytes }),
  38: (_, errorCode) => ({
    errorCode,
    principalType: "",
    principalName: "",
    issueTimestampMs: none,
    expiryTimestampMs: none,
    maxTimestampMs: none,
    tokenId: "",
    hmac: noBytes,
    throttleTimeMs,
  }),
  39: (_, errorCode) => ({ errorCode, expiryTimestampMs: none, throttleTimeMs }),
  40: (_, errorCode) => ({ errorCode, expiryTimestampMs: none, throttleTimeMs }),
  41: (_, errorCode) => ({ errorCode, tokens: [], throttleTimeMs }),
  43: (_, errorCode) => ({ throttleTimeMs, errorCode, replicaElectionResults: [] }),
  45: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, responses: [] }),
  46: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, topics: [] }),
  47: (_, errorCode) => ({ errorCode, throttleTimeMs, topics: [] }),
  48: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, entries: null }),
  50: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, results: [] }),
  52: (_, errorCode) => ({ errorCode, topics: [], nodeEndpoints: [] }),
  53: (_, errorCode) => ({ errorCode, topics: [], nodeEndpoints: [] }),
  54: (_, errorCode) => ({ errorCode, topics: [], nodeEndpoints: [] }),
  56: (_, errorCode) => ({ throttleTimeMs, errorCode, topics: [] }),
  58: (_, errorCode) => ({ responseData: null, errorCode }),
  59: (_, errorCode) => ({ throttleTimeMs, errorCode, topics: [], nodeEndpoints: [] }),
  62: (_, errorCode) => ({ throttleTimeMs, errorCode, brokerEpoch: none }),
  63: (_, errorCode) => ({ throttleTimeMs, errorCode, isCaughtUp: false, isFenced: true, shouldShutDown: false }),
  70: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage }),
  73: (_, errorCode) => ({ throttleTimeMs, errorCode, directories: [] }),
  82: (_, errorCode) => ({ throttleTimeMs, errorCode }),
  55: (_, errorCode, errorMessage) => ({ errorCode, errorMessage, topics: [], nodes: [] }),
  57: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, results: [] }),
  60: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, clusterId: "", brokers: [] }),
  64: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage }),
  66: (_, errorCode) => ({ throttleTimeMs, errorCode, unknownStateFilters: [], transactionStates: [] }),
  68: (_, errorCode, errorMessage) => ({
    throttleTimeMs,
    errorCode,
    errorMessage,
    memberEpoch: 0,
    heartbeatIntervalMs: 0,
  }),
  71: (_, errorCode) => ({
    throttleTimeMs,
    errorCode,
    clientInstanceId: uuidZero,
    subscriptionId: 0,
    acceptedCompressionTypes: [],
    pushIntervalMs: 0,
    telemetryMaxBytes: 0,
    deltaTemporality: false,
    requestedMetrics: [],
  }),
  72: (_, errorCode) => ({ throttleTimeMs, errorCode }),
  74: (_, errorCode) => ({ throttleTimeMs, errorCode, configResources: [] }),
  76: (_, errorCode, errorMessage) => ({
    throttleTimeMs,
    errorCode,
    errorMessage,
    memberEpoch: 0,
    heartbeatIntervalMs: 0,
  }),
  78: (_, errorCode, errorMessage) => ({
    throttleTimeMs,
    errorCode,
    errorMessage,
    acquisitionLockTimeoutMs: 0,
    responses: [],
    nodeEndpoints: [],
  }),
  79: (_, errorCode, errorMessage) => ({
    throttleTimeMs,
    errorCode,
    errorMessage,
    acquisitionLockTimeoutMs: 0,
    responses: [],
    nodeEndpoints: [],
  }),
  80: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage }),
  81: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage }),
  88: (_, errorCode, errorMessage) => ({
    throttleTimeMs,
    errorCode,
    errorMessage,
    memberId: "",
    memberEpoch: 0,
    heartbeatIntervalMs: 0,
    acceptableRecoveryLag: 0,
    taskOffsetIntervalMs: 0,
    status: null,
    endpointInformationEpoch: 0,
  }),
  91: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, responses: [] }),
  92: (_, errorCode, errorMessage) => ({ throttleTimeMs, errorCode, errorMessage, responses: [] }),
};

/** Answers that repeat what was asked for, each with the error. */
const besideEach: { readonly [Key in ApiKey]?: Builder<Key> } = {
  0: (request, errorCode, errorMessage) => ({
    responses: request.topicData.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode, baseOffset: none, errorMessage })),
    })),
  }),
  2: (request, errorCode) => ({
    throttleTimeMs,
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode,
        timestamp: none,
        offset: none,
      })),
    })),
  }),
  3: (request, errorCode) => ({
    throttleTimeMs,
    brokers: [],
    clusterId: null,
    controllerId: none,
    topics: (request.topics ?? []).map(({ name, topicId }) => ({
      errorCode,
      name: name ?? "",
      topicId,
      isInternal: false,
      partitions: [],
    })),
  }),
  8: (request, errorCode) => ({
    throttleTimeMs,
    topics: request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
  9: (request, errorCode) => ({
    throttleTimeMs,
    topics: [],
    errorCode,
    groups: request.groups.map(({ groupId }) => ({ groupId, topics: [], errorCode })),
  }),
  15: (request, errorCode) => ({
    throttleTimeMs,
    groups: request.groups.map((groupId) => ({
      errorCode,
      groupId,
      groupState: "",
      protocolType: "",
      protocolData: "",
      members: [],
    })),
  }),
  19: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    topics: request.topics.map(({ name }) => ({ name, errorCode, errorMessage })),
  }),
  20: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    responses: [
      ...request.topicNames.map((name) => ({ name, errorCode, errorMessage })),
      ...request.topics.map(({ name, topicId }) => ({ name, topicId, errorCode, errorMessage })),
    ],
  }),
  21: (request, errorCode) => ({
    throttleTimeMs,
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, lowWatermark: none, errorCode })),
    })),
  }),
  23: (request, errorCode) => ({
    throttleTimeMs,
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ errorCode, partition })),
    })),
  }),
  28: (request, errorCode) => ({
    throttleTimeMs,
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
  30: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    results: request.creations.map(() => ({ errorCode, errorMessage })),
  }),
  31: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    filterResults: request.filters.map(() => ({ errorCode, errorMessage, matchingAcls: [] })),
  }),
  32: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    results: request.resources.map(({ resourceType, resourceName }) => ({
      errorCode,
      errorMessage,
      resourceType,
      resourceName,
      configs: [],
    })),
  }),
  33: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    responses: request.resources.map(({ resourceType, resourceName }) => ({
      errorCode,
      errorMessage,
      resourceType,
      resourceName,
    })),
  }),
  34: (request, errorCode) => ({
    throttleTimeMs,
    results: request.dirs.flatMap(({ topics }) =>
      topics.map(({ name, partitions }) => ({
        topicName: name,
        partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode })),
      })),
    ),
  }),
  37: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    results: request.topics.map(({ name }) => ({ name, errorCode, errorMessage })),
  }),
  42: (request, errorCode) => ({
    throttleTimeMs,
    results: request.groupsNames.map((groupId) => ({ groupId, errorCode })),
  }),
  44: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    responses: request.resources.map(({ resourceType, resourceName }) => ({
      errorCode,
      errorMessage,
      resourceType,
      resourceName,
    })),
  }),
  49: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    entries: request.entries.map(({ entity }) => ({ errorCode, errorMessage, entity })),
  }),
  51: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    results: [...request.deletions, ...request.upsertions].map(({ name }) => ({ user: name, errorCode, errorMessage })),
  }),
  61: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({
        partitionIndex,
        errorCode,
        errorMessage,
        activeProducers: [],
      })),
    })),
  }),
  69: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    groups: request.groupIds.map((groupId) => ({
      errorCode,
      errorMessage,
      groupId,
      groupState: "",
      groupEpoch: 0,
      assignmentEpoch: 0,
      assignorName: "",
      members: [],
    })),
  }),
  77: (request, errorCode, errorMessage) => ({
    throttleTimeMs,
    groups: request.groupIds.map((groupId) => ({
      errorCode,
      errorMessage,
      groupId,
      groupState: "",
      groupEpoch: 0,
      assignmentEpoch: 0,
      assignorName: "",
      members: [],
    })),
  }),
};

/** The answer to `request`, or null where the API has none that says so: then the connection ends. */
export function errorResponseOf<Key extends ApiKey>(
  key: Key,
  request: RequestOf<Key>,
  errorCode: number,
  message: string | null,
): ResponseInitOf<Key> | null {
  const build = (atTheTop[key] ?? besideEach[key]) as Builder<Key> | undefined;
  return build === undefined ? null : build(request, errorCode, message);
}
