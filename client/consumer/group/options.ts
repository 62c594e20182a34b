// Settings of group membership, with Kafka's defaults.
import { checkedNumber } from "../../connection/options.ts";
import { clientError } from "../../errors.ts";
import { type Assignor, assignorsByName } from "./assignors.ts";

export interface GroupOptions {
  /** Needed for `subscribe` and for committing offsets. */
  readonly groupId?: string;
  /** A name that survives restarts: the member keeps its partitions over a short absence (KIP-345). */
  readonly groupInstanceId?: string;
  /** Without a heartbeat for this long the member is out. Default 45,000. */
  readonly sessionTimeoutMs?: number;
  /** Default 3,000. */
  readonly heartbeatIntervalMs?: number;
  /** The program must ask for messages at least this often, else its partitions go to others. Default 300,000. */
  readonly pollIntervalMsMax?: number;
  /** Default true. */
  readonly autoCommit?: boolean;
  /** Default 5,000. */
  readonly autoCommitIntervalMs?: number;
  /** In order of preference, by name or one's own: range, roundrobin, sticky, cooperative-sticky. Default range, cooperative-sticky. */
  readonly assignors?: readonly (string | Assignor)[];
  /**
   * Default "auto": the consumer protocol (KIP-848) where the cluster offers it, and the classic one elsewhere or where `assignors`,
   * `sessionTimeoutMs` or `heartbeatIntervalMs` are given, which the brokers decide in the new one.
   */
  readonly groupProtocol?: "auto" | "classic" | "consumer";
  /** With the consumer protocol, who divides: "uniform" or "range". Default: the group's. */
  readonly serverAssignor?: string;
}

export interface ResolvedGroupOptions {
  readonly groupId: string;
  readonly groupInstanceId: string | null;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly pollIntervalMsMax: number;
  readonly autoCommit: boolean;
  readonly autoCommitIntervalMs: number;
  readonly assignors: readonly Assignor[];
  readonly requireStable: boolean;
  readonly groupProtocol: "auto" | "classic" | "consumer";
  readonly serverAssignor: string | null;
  readonly rack: string | null;
}

function resolveProtocol(options: GroupOptions): "auto" | "classic" | "consumer" {
  const { groupProtocol = "auto" } = options;
  if (!["auto", "classic", "consumer"].includes(groupProtocol))
    throw clientError("CLIENT_INVALID_OPTION", `groupProtocol=${groupProtocol} is not auto, classic or consumer`);
  const classicOnly = (["assignors", "sessionTimeoutMs", "heartbeatIntervalMs"] as const).find(
    (name) => options[name] !== undefined,
  );
  if (classicOnly === undefined) return groupProtocol;
  if (groupProtocol === "consumer")
    throw clientError("CLIENT_INVALID_OPTION", `${classicOnly} is the brokers' to set with groupProtocol consumer`);
  return "classic";
}

/** Null where there is no group. */
export function resolveGroupOptions(
  options: GroupOptions,
  { isReadCommitted, rack }: { readonly isReadCommitted: boolean; readonly rack: string | undefined },
): ResolvedGroupOptions | null {
  const { groupId } = options;
  if (groupId === undefined) return null;
  if (groupId === "") throw clientError("CLIENT_INVALID_OPTION", "groupId is empty");
  const sessionTimeoutMs = checkedNumber("sessionTimeoutMs", options.sessionTimeoutMs, 45_000, 1);
  const heartbeatIntervalMs = checkedNumber("heartbeatIntervalMs", options.heartbeatIntervalMs, 3000, 1);
  if (heartbeatIntervalMs >= sessionTimeoutMs) {
    throw clientError(
      "CLIENT_INVALID_OPTION",
      `heartbeatIntervalMs=${heartbeatIntervalMs} is not below sessionTimeoutMs=${sessionTimeoutMs}`,
    );
  }
  const assignors = (options.assignors ?? ["range", "cooperative-sticky"]).map((assignor) => {
    if (typeof assignor !== "string") return assignor;
    const known = assignorsByName.get(assignor);
    if (known !== undefined) return known;
    const names = [...assignorsByName.keys()].join(", ");
    throw clientError("CLIENT_INVALID_OPTION", `assignors: "${assignor}" is not one of ${names}`);
  });
  if (assignors.length === 0) throw clientError("CLIENT_INVALID_OPTION", "assignors is empty");
  return {
    groupId,
    groupInstanceId: options.groupInstanceId ?? null,
    sessionTimeoutMs,
    heartbeatIntervalMs,
    pollIntervalMsMax: checkedNumber("pollIntervalMsMax", options.pollIntervalMsMax, 300_000, 1),
    autoCommit: options.autoCommit ?? true,
    autoCommitIntervalMs: checkedNumber("autoCommitIntervalMs", options.autoCommitIntervalMs, 5000, 1),
    assignors,
    requireStable: isReadCommitted,
    groupProtocol: resolveProtocol(options),
    serverAssignor: options.serverAssignor ?? null,
    rack: rack ?? null,
  };
}
