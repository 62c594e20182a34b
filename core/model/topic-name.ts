// Which texts may name a topic, which two names may not stand side by side, and the names that Kafka keeps for itself.

/** A folder name is the topic, `-`, the partition (and a suffix while it is deleted): this keeps it within 255 bytes. */
export const topicNameCharactersMax = 249;

const topicNamePattern = /^[a-zA-Z0-9._-]+$/;

/** Why `name` cannot name a topic, as a clause for an error message; null where it can. */
export function topicNameProblem(name: string): string | null {
  if (name === "") return "a topic name cannot be empty";
  if (name === "." || name === "..") return `a topic name cannot be '${name}'`;
  if (name.length > topicNameCharactersMax) {
    return `a topic name of ${name.length} characters is above the bound of ${topicNameCharactersMax}`;
  }
  if (!topicNamePattern.test(name)) {
    return "a topic name holds only ASCII letters, digits, '.', '_' and '-'";
  }
  return null;
}

/** True where `.` or `_` is in the name: metrics write both as `_`, so such a name can collide with another. */
export function topicNameMayCollide(name: string): boolean {
  return name.includes(".") || name.includes("_");
}

/** The name as metrics see it. Two different topics with the same form collide. */
export function topicNameCollisionForm(name: string): string {
  return name.replaceAll(".", "_");
}

/** Whether the names differ but metrics could not tell them apart: `a.b` and `a_b`. */
export function topicNamesCollide(one: string, other: string): boolean {
  return one !== other && topicNameCollisionForm(one) === topicNameCollisionForm(other);
}

export const consumerOffsetsTopic = "__consumer_offsets";
export const transactionStateTopic = "__transaction_state";
export const shareGroupStateTopic = "__share_group_state";
/** The quorum's own log. Not a topic that clients see, and none of them may create it. */
export const clusterMetadataTopic = "__cluster_metadata";

const internalTopics: ReadonlySet<string> = new Set([
  consumerOffsetsTopic,
  transactionStateTopic,
  shareGroupStateTopic,
]);

/** The topics that a coordinator alone writes: metadata answers mark them, and clients may not produce to them. */
export function isInternalTopic(name: string): boolean {
  return internalTopics.has(name);
}
