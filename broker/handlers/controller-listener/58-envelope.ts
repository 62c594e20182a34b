// Envelope v0 (KIP-590): a broker hands on a client's request, in that client's name. The request inside is served as if the client had asked
// here; its answer goes back as bytes. Only what brokers may forward is taken out.
import { MalformedMessage } from "@blumfeld/core/base";
import {
  ApiKey,
  decodeRequestHead,
  ErrorCode,
  encodeResponseFrame,
  type RequestHead,
  readPrincipal,
} from "@blumfeld/core/protocol";
import type { ControllerParts } from "../../controller-listener/controller-parts.ts";
import {
  answerAtTurnEnd,
  answerLater,
  type Handler,
  type RequestContext,
  RequestError,
} from "../../request-context.ts";
import { AclOperation, type Principal } from "../../security-seam.ts";
import { errorResponseOf } from "../error-response.ts";
import type { HandlerTable } from "../handler-table.ts";
import { requireClusterOperation } from "./require-cluster.ts";

/** What a broker may forward; anything else inside is refused, whatever its principal may do. */
export const forwardableKeys: ReadonlySet<ApiKey> = new Set<ApiKey>([
  ...[ApiKey.CreateTopics, ApiKey.DeleteTopics, ApiKey.CreateAcls, ApiKey.DeleteAcls, ApiKey.AlterConfigs],
  ...[ApiKey.CreatePartitions, ApiKey.CreateDelegationToken, ApiKey.RenewDelegationToken],
  ...[ApiKey.ExpireDelegationToken, ApiKey.ElectLeaders, ApiKey.IncrementalAlterConfigs],
  ...[ApiKey.AlterPartitionReassignments, ApiKey.ListPartitionReassignments, ApiKey.AlterClientQuotas],
  ...[ApiKey.AlterUserScramCredentials, ApiKey.DescribeQuorum, ApiKey.UpdateFeatures, ApiKey.UnregisterBroker],
  ...[ApiKey.AddRaftVoter, ApiKey.RemoveRaftVoter],
]);

type Context = RequestContext<typeof ApiKey.Envelope>;

export function createEnvelopeHandler(parts: ControllerParts, table: HandlerTable): Handler<typeof ApiKey.Envelope> {
  return async (request, context) => {
    requireClusterOperation(parts, context, AclOperation.ClusterAction);
    const principal = principalOf(request.requestPrincipal);
    const clientAddress = addressOf(request.clientHostAddress);
    const head = headOf(request.requestData, parts.config.isUnstableApiVersionsEnabled);
    const handler = forwardableKeys.has(head.api.key) ? table.get(head.api.key) : undefined;
    if (handler === undefined) throw new RequestError(ErrorCode.INVALID_REQUEST, `${head.api.name} is not forwarded`);
    const message = malformedAs(ErrorCode.INVALID_REQUEST, () => head.api.decodeRequest(head.reader, head.version));
    const inner = innerContext(context, head, principal, clientAddress);
    let response: Awaited<ReturnType<typeof handler>>;
    try {
      response = await handler(message, inner);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      // The envelope itself has to go to another controller.
      if (error.errorCode === ErrorCode.NOT_CONTROLLER) throw error;
      response = errorResponseOf(head.api.key, message, error.errorCode, error.message);
    }
    if (response === null || response === answerLater || response === answerAtTurnEnd) {
      throw new RequestError(ErrorCode.UNKNOWN_SERVER_ERROR, `${head.api.name} has no answer to send back`);
    }
    const frame = Buffer.concat(encodeResponseFrame(head.api.key, head.version, head.correlationId, response));
    // Without its size: the envelope has one.
    return { errorCode: ErrorCode.NONE, responseData: frame.subarray(4) };
  };
}

function malformedAs<Result>(errorCode: ErrorCode, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedMessage) throw new RequestError(errorCode, error.message);
    throw error;
  }
}

function principalOf(bytes: Buffer | null): Principal {
  const errorCode = ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE;
  if (bytes === null) throw new RequestError(errorCode, "the envelope names no principal");
  const { name, type } = malformedAs(errorCode, () => readPrincipal(bytes));
  return { principalType: type, name };
}

/** IPv4 or IPv6, by length. */
function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) throw new RequestError(ErrorCode.INVALID_REQUEST, `an address of ${bytes.length} bytes`);
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return groups.join(":");
}

function headOf(bytes: Buffer, includeUnstable: boolean): RequestHead {
  const head = malformedAs(ErrorCode.INVALID_REQUEST, () => decodeRequestHead(bytes, includeUnstable));
  if ("api" in head) return head;
  const errorCode = head.unsupported === "version" ? ErrorCode.UNSUPPORTED_VERSION : ErrorCode.INVALID_REQUEST;
  throw new RequestError(errorCode, `API ${head.apiKey} v${head.version} is not served`);
}

/** The client's request on the broker's connection. */
function innerContext(
  outer: Context,
  { api, clientId, correlationId, version }: RequestHead,
  principal: Principal,
  clientAddress: string,
): RequestContext {
  return {
    ...{ apiKey: api.key, apiVersion: version, correlationId, clientId, principal, clientAddress },
    connection: outer.connection,
    receivedMs: outer.receivedMs,
    nowMs: outer.nowMs,
    listenerName: outer.listenerName,
    answer: () => {},
    onSent: (callback) => outer.onSent(callback),
  };
}
