// SaslHandshake v0–1: names the mechanism. On a listener without SASL it comes at the wrong time: 34, as Kafka answers. A mechanism that the listener
// does not have: 33 with those that it has, and the connection ends.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";

/** Of an unknown mechanism's name, in the log. */
const nameCharactersMax = 64;

export function createSaslHandshakeHandler(): Handler<typeof ApiKey.SaslHandshake> {
  return (request, context) => {
    const { authentication } = context.connection;
    // A listener without SASL: it comes at the wrong time, as Kafka answers.
    if (authentication === null) return { errorCode: ErrorCode.ILLEGAL_SASL_STATE, mechanisms: [] };
    const answer = authentication.onHandshake(request.mechanism, context.apiVersion);
    if (answer.errorCode === ErrorCode.UNSUPPORTED_SASL_MECHANISM)
      context.onSent(() =>
        context.connection.close(`no SASL mechanism ${JSON.stringify(request.mechanism.slice(0, nameCharactersMax))}`),
      );
    return answer;
  };
}
