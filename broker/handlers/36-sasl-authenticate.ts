// SaslAuthenticate v0–2, when it comes to a handler: on a listener without SASL, or after authentication has ended. 34, as Kafka answers.
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";

export const onSaslAuthenticate: Handler<typeof ApiKey.SaslAuthenticate> = () => ({
  errorCode: ErrorCode.ILLEGAL_SASL_STATE,
  errorMessage: "SaslAuthenticate request received after successful authentication",
  authBytes: Buffer.alloc(0),
});
