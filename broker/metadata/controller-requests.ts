// Requests that only the active controller can answer, on the node that is it: each authorised as Kafka's controller does, then decided.
// Both ways in end here: a broker's channel, and a controller listener.
import { type Controller, DecisionRefused } from "@blumfeld/core/controller";
import { type ApiKey, ErrorCode, type RequestOf, type ResponseInitOf } from "@blumfeld/core/protocol";
import { NotLeader } from "@blumfeld/core/quorum";
import { RequestError } from "../request-context.ts";
import {
  AclOperation,
  type Authorizer,
  anonymousPrincipal,
  clusterResourceName,
  type RequestOrigin,
  ResourceType,
} from "../security-seam.ts";
import type { BrokerWatch } from "./broker-watch.ts";

export type ControllerOrigin = RequestOrigin & {
  readonly clientId: string | null;
  readonly timeoutMs: number;
  /** The client's own request where it is handed on as it is: another node answers in the version that was asked. */
  readonly apiKey?: ApiKey;
  readonly apiVersion?: number;
};

/** Of what a node asks for itself, as whom its authorizer lets act for the cluster. */
export function ownOrigin(timeoutMs: number): ControllerOrigin {
  return { principal: anonymousPrincipal, clientAddress: "", listenerName: "", clientId: null, timeoutMs };
}

export interface ControllerRequestParts {
  readonly controller: Controller;
  readonly authorizer: Authorizer;
  readonly watch: BrokerWatch;
}

export type ControllerHandler<Key extends ApiKey> = (
  request: RequestOf<Key>,
  origin: ControllerOrigin,
  parts: ControllerRequestParts,
) => Promise<ResponseInitOf<Key>>;

export function mayOnCluster(parts: ControllerRequestParts, origin: RequestOrigin, operation: AclOperation): boolean {
  return parts.authorizer.authorize(origin, operation, ResourceType.Cluster, clusterResourceName);
}

export function mayOnTopic(
  parts: ControllerRequestParts,
  origin: RequestOrigin,
  operation: AclOperation,
  topic: string,
): boolean {
  return parts.authorizer.authorize(origin, operation, ResourceType.Topic, topic);
}

/** Refuses the whole request where the principal may not do `operation` on the cluster. */
export function requireOnCluster(parts: ControllerRequestParts, origin: RequestOrigin, operation: AclOperation): void {
  if (mayOnCluster(parts, origin, operation)) return;
  const [name] = Object.entries(AclOperation).find(([, code]) => code === operation)!;
  throw new RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, `the request needs ${name} on the cluster`);
}

/** What a decision or the quorum refuses, as handlers refuse. */
export function asRequestError(error: unknown): unknown {
  if (error instanceof DecisionRefused) return new RequestError(error.errorCode, error.message);
  if (error instanceof NotLeader) return new RequestError(ErrorCode.NOT_CONTROLLER, error.message);
  return error;
}
