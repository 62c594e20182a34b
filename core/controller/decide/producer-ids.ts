// Blocks of producer ids: each broker takes a thousand at a time and gives them out one by one.
import { type AllocateProducerIdsResponseInit, ErrorCode } from "../../protocol/index.ts";
import { staleBrokerRefusal } from "./brokers.ts";
import { type DecideContext, type Decision, decisionOf } from "./decision.ts";

/** Ids in one block, as Kafka gives them. */
export const producerIdBlockCount = 1000;

const none = { producerIdStart: 0n, producerIdLen: 0 };

export function allocateProducerIds(
  context: DecideContext,
  brokerId: number,
  brokerEpoch: number,
): Decision<AllocateProducerIdsResponseInit> {
  const refused = staleBrokerRefusal(context, brokerId, brokerEpoch);
  if (refused !== null) return decisionOf({ throttleTimeMs: 0, ...none, errorCode: refused.errorCode });
  const first = context.image.nextProducerId;
  const next = first + producerIdBlockCount;
  if (!Number.isSafeInteger(next))
    return decisionOf({ throttleTimeMs: 0, ...none, errorCode: ErrorCode.UNKNOWN_SERVER_ERROR });
  const answer = {
    throttleTimeMs: 0,
    errorCode: ErrorCode.NONE,
    producerIdStart: BigInt(first),
    producerIdLen: producerIdBlockCount,
  };
  const value = { brokerId, brokerEpoch: BigInt(brokerEpoch), nextProducerId: BigInt(next) };
  return decisionOf(answer, [{ type: "ProducerIdsRecord", version: 0, value }]);
}
