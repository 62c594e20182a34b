// Values that differ from run to run, but the same way everywhere: an id that the recorded broker gave out, and the one that the broker under
// test gave out in its place. Bound when an answer brings both; from then on each stands for the other, in requests and answers.

/** One space of ids. */
export type ValueKind =
  | "topic"
  | "producer"
  | "cluster"
  | "session"
  | "member"
  | "directory"
  | "port"
  | "token"
  | "incarnation";

/** Which fields hold ids of which kind, by the field's name. A field not in here is compared as it is. */
export const fieldKinds: Readonly<Record<string, ValueKind>> = {
  topicId: "topic",
  producerId: "producer",
  v3AndBelowProducerId: "producer",
  clusterId: "cluster",
  sessionId: "session",
  memberId: "member",
  leader: "member",
  replicaDirectoryId: "directory",
  voterDirectoryId: "directory",
  port: "port",
  tokenId: "token",
  incarnationId: "incarnation",
};

const zeroUuid = "AAAAAAAAAAAAAAAAAAAAAA";
/** Values that mean "none", and so must be themselves. Zero is a producer's id like any other. */
const noneValues: ReadonlySet<unknown> = new Set([-1, -1n, "", null, zeroUuid]);

function isNone(kind: ValueKind, value: unknown): boolean {
  return noneValues.has(value) || (value === 0 && kind !== "producer");
}

export class ValueTable {
  private readonly forward = new Map<string, unknown>();
  private readonly backward = new Map<string, unknown>();

  /** What the broker under test calls it; the value itself while nothing is known of it. */
  ours(kind: ValueKind, recorded: unknown): unknown {
    return this.forward.get(keyOf(kind, recorded)) ?? recorded;
  }

  /** Whether both may be the same thing: bound to each other, or not bound yet, in which case they are from now on. */
  bind(kind: ValueKind, recorded: unknown, ours: unknown): boolean {
    if (isNone(kind, recorded) || isNone(kind, ours)) return recorded === ours;
    const known = this.forward.get(keyOf(kind, recorded));
    if (known !== undefined) return known === ours;
    const other = this.backward.get(keyOf(kind, ours));
    if (other !== undefined) return other === recorded;
    this.forward.set(keyOf(kind, recorded), ours);
    this.backward.set(keyOf(kind, ours), recorded);
    return true;
  }
}

function keyOf(kind: ValueKind, value: unknown): string {
  return `${kind} ${typeof value} ${String(value)}`;
}
