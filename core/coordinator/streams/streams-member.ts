// One member of a streams group as records make it: a stream thread, what it said of itself, and the tasks that it has or has still to give up.
// Never changed once made.
import { noTasks, sameTasks, type Tasks } from "./tasks.ts";

/** Kafka's codes, as the record holds them. */
export const streamsMemberStates = { stable: 0, unrevokedTasks: 1, unreleasedTasks: 2, unknown: 127 } as const;
export type StreamsMemberState = (typeof streamsMemberStates)[keyof typeof streamsMemberStates];

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

export interface StreamsMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  /** -1 until it has said which. */
  readonly topologyEpoch: number;
  /** Members of one process share local state: a task is never twice in one process. */
  readonly processId: string;
  readonly userEndpoint: { readonly host: string; readonly port: number } | null;
  readonly clientTags: readonly KeyValue[];
  readonly memberEpoch: number;
  readonly previousMemberEpoch: number;
  readonly state: StreamsMemberState;
  readonly assigned: Tasks;
  readonly pendingRevocation: Tasks;
}

export const joinEpoch = 0;
export const leaveEpoch = -1;
export const staticLeaveEpoch = -2;

export function newStreamsMember(memberId: string): StreamsMember {
  return {
    memberId,
    instanceId: null,
    rackId: null,
    clientId: "",
    clientHost: "",
    rebalanceTimeoutMs: -1,
    topologyEpoch: -1,
    processId: "",
    userEndpoint: null,
    clientTags: [],
    memberEpoch: joinEpoch,
    previousMemberEpoch: -1,
    state: streamsMemberStates.stable,
    assigned: noTasks,
    pendingRevocation: noTasks,
  };
}

/** In the epoch, with the one before remembered: an answer that was lost is recognised by it. */
export function inEpoch(member: StreamsMember, memberEpoch: number): StreamsMember {
  if (member.memberEpoch === memberEpoch) return member;
  return { ...member, memberEpoch, previousMemberEpoch: member.memberEpoch };
}

export function isReconciledTo(member: StreamsMember, epoch: number): boolean {
  return member.state === streamsMemberStates.stable && member.memberEpoch === epoch;
}

/** Whether what bears on the assignment is the same: then the group keeps its epoch. */
export function sameForAssignment(one: StreamsMember, other: StreamsMember): boolean {
  return (
    one.instanceId === other.instanceId &&
    one.rackId === other.rackId &&
    one.topologyEpoch === other.topologyEpoch &&
    one.processId === other.processId &&
    sameTags(one.clientTags, other.clientTags)
  );
}

/** Whether all that the member says of itself is the same: then no record of it is due. */
export function sameMetadata(one: StreamsMember, other: StreamsMember): boolean {
  return (
    sameForAssignment(one, other) &&
    one.clientId === other.clientId &&
    one.clientHost === other.clientHost &&
    one.rebalanceTimeoutMs === other.rebalanceTimeoutMs &&
    one.userEndpoint?.host === other.userEndpoint?.host &&
    one.userEndpoint?.port === other.userEndpoint?.port
  );
}

function sameTags(one: readonly KeyValue[], other: readonly KeyValue[]): boolean {
  if (one.length !== other.length) return false;
  const values = new Map(one.map(({ key, value }) => [key, value]));
  return other.every(({ key, value }) => values.get(key) === value);
}

export function sameAssignment(one: StreamsMember, other: StreamsMember): boolean {
  return (
    one.memberEpoch === other.memberEpoch &&
    one.previousMemberEpoch === other.previousMemberEpoch &&
    one.state === other.state &&
    sameTasks(one.assigned, other.assigned, true) &&
    sameTasks(one.pendingRevocation, other.pendingRevocation, true)
  );
}
