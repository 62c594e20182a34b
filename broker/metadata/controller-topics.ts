// CreateTopics, DeleteTopics and CreatePartitions at the active controller: what each topic allows its principal, then the decision.
import { type Uuid, uuidZero } from "@blumfeld/core/base";
import { createPartitions, createTopics, deleteTopics } from "@blumfeld/core/controller";
import { clusterMetadataTopic } from "@blumfeld/core/model";
import { type ApiKey, ErrorCode, errorOf, type ResponseInitOf } from "@blumfeld/core/protocol";
import { RequestError } from "../request-context.ts";
import { AclOperation } from "../security-seam.ts";
import {
  type ControllerHandler,
  type ControllerOrigin,
  type ControllerRequestParts,
  mayOnCluster,
  mayOnTopic,
} from "./controller-requests.ts";

const authorizationFailed = {
  errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED,
  errorMessage: errorOf(ErrorCode.TOPIC_AUTHORIZATION_FAILED).message,
};
const metadataTopic = {
  errorCode: ErrorCode.INVALID_REQUEST,
  errorMessage: `Creation of internal topic ${clusterMetadataTopic} is prohibited.`,
};
/** DeleteTopics: older clients do not know that deletion can be disabled. */
const deletionDisabledFrom = 3;
const duplicateTopic = { errorCode: ErrorCode.INVALID_REQUEST, errorMessage: "Duplicate topic name." };

/** Names that the request has more than once. */
function duplicatesOf(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  return new Set(names.filter((name) => seen.size === seen.add(name).size));
}

export const onCreateTopics: ControllerHandler<typeof ApiKey.CreateTopics> = async (request, origin, parts) => {
  const duplicates = duplicatesOf(request.topics.map(({ name }) => name));
  const mayCreateAll = mayOnCluster(parts, origin, AclOperation.Create);
  const mayCreate = (name: string): boolean =>
    name !== clusterMetadataTopic && (mayCreateAll || mayOnTopic(parts, origin, AclOperation.Create, name));
  const topics = request.topics.filter(({ name }) => !duplicates.has(name) && mayCreate(name));
  const answer = await parts.controller.execute((context) =>
    createTopics(
      context,
      { ...request, topics },
      {
        mayDescribeConfigs: (name) => mayOnTopic(parts, origin, AclOperation.DescribeConfigs, name),
      },
    ),
  );
  const refused = request.topics
    .filter(({ name }) => !duplicates.has(name) && !mayCreate(name))
    .map(({ name }) => ({ name, ...(name === clusterMetadataTopic ? metadataTopic : authorizationFailed) }));
  const twice = [...duplicates].map((name) => ({ name, ...duplicateTopic }));
  return { throttleTimeMs: 0, topics: [...answer.topics, ...twice, ...refused] };
};

export const onCreatePartitions: ControllerHandler<typeof ApiKey.CreatePartitions> = async (request, origin, parts) => {
  const duplicates = duplicatesOf(request.topics.map(({ name }) => name));
  const single = request.topics.filter(({ name }) => !duplicates.has(name));
  const mayAlter = (name: string): boolean => mayOnTopic(parts, origin, AclOperation.Alter, name);
  const results = await parts.controller.execute((context) =>
    createPartitions(
      context,
      single.filter(({ name }) => mayAlter(name)),
      request.validateOnly,
    ),
  );
  const twice = [...duplicates].map((name) => ({ name, ...duplicateTopic }));
  const refused = single.filter(({ name }) => !mayAlter(name)).map(({ name }) => ({ name, ...authorizationFailed }));
  return { throttleTimeMs: 0, results: [...twice, ...refused, ...results] };
};

type DeletionResult = ResponseInitOf<typeof ApiKey.DeleteTopics>["responses"][number];

export const onDeleteTopics: ControllerHandler<typeof ApiKey.DeleteTopics> = async (request, origin, parts) => {
  if (!parts.controller.context().settings.get("delete.topic.enable")) {
    const knowsDisabled = (origin.apiVersion ?? deletionDisabledFrom) >= deletionDisabledFrom;
    const code = knowsDisabled ? ErrorCode.TOPIC_DELETION_DISABLED : ErrorCode.INVALID_REQUEST;
    throw new RequestError(code, "delete.topic.enable=false");
  }
  const named = request.topicNames.map((name) => ({ name, topicId: uuidZero }));
  const responses: DeletionResult[] = [];
  const deletable: { readonly name: string; readonly topicId: Uuid }[] = [];
  for (const target of deletionTargets([...request.topics, ...named], responses)) {
    const outcome = resolveDeletion(parts, origin, target);
    if ("errorCode" in outcome) responses.push(outcome);
    else deletable.push(outcome);
  }
  const outcomes = await parts.controller.execute((context) =>
    deleteTopics(
      context,
      deletable.map(({ topicId }) => topicId),
    ),
  );
  for (const [index, topic] of deletable.entries()) responses.push({ ...topic, ...outcomes[index]! });
  return { throttleTimeMs: 0, responses };
};

interface DeletionTarget {
  readonly name: string | null;
  readonly topicId: Uuid;
}

/** What is asked for once and in one way; the rest is answered right away. */
function deletionTargets(topics: readonly DeletionTarget[], responses: DeletionResult[]): DeletionTarget[] {
  const keyOf = ({ name, topicId }: DeletionTarget): string => name ?? `#${topicId}`;
  const duplicates = duplicatesOf(topics.map(keyOf));
  const answered = new Set<string>();
  return topics.filter((target) => {
    const { name, topicId } = target;
    const key = keyOf(target);
    const wrong =
      name !== null && topicId !== uuidZero
        ? "Give the topic's name or its id, not both."
        : name === null && topicId === uuidZero
          ? "Neither topic name nor id were specified."
          : duplicates.has(key)
            ? `Duplicate topic ${name === null ? "id" : "name"}.`
            : null;
    if (wrong === null) return true;
    if (!answered.has(key))
      responses.push({ name, topicId, errorCode: ErrorCode.INVALID_REQUEST, errorMessage: wrong });
    answered.add(key);
    return false;
  });
}

/** The topic, or why not: its name is told only to those who may know it. */
function resolveDeletion(
  parts: ControllerRequestParts,
  origin: ControllerOrigin,
  target: DeletionTarget,
): { readonly name: string; readonly topicId: Uuid } | DeletionResult {
  const { topics } = parts.controller.image;
  const byName = target.name !== null;
  const topic = byName ? topics.get(target.name!) : topics.byId.get(target.topicId);
  const name = topic?.name ?? target.name;
  const mayOn = (operation: AclOperation): boolean =>
    mayOnCluster(parts, origin, operation) || (name !== null && mayOnTopic(parts, origin, operation, name));
  if (name !== null && !mayOn(AclOperation.Delete)) {
    const mayKnow = byName || mayOn(AclOperation.Describe);
    return { name: mayKnow ? name : null, topicId: byName ? uuidZero : target.topicId, ...authorizationFailed };
  }
  if (topic !== undefined) return { name: topic.name, topicId: topic.id };
  const errorCode = byName ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : ErrorCode.UNKNOWN_TOPIC_ID;
  return { name: target.name, topicId: target.topicId, errorCode, errorMessage: errorOf(errorCode).message };
}
