// The bounds that more than one part must agree on. A bound that only one part knows stands beside that part, exported.
// Memory grows with bytes received, never with bytes declared.

export const kibibyte = 1024;
export const mebibyte = 1024 * 1024;

export const limits = {
  /** Largest request frame (Kafka's socket.request.max.bytes default). */
  requestBytesMax: 100 * mebibyte,
  /** Largest frame before a SASL exchange has ended (sasl.server.max.receive.size). */
  unauthenticatedRequestBytesMax: 512 * kibibyte,
  /** Most tagged fields in one section of a message; Kafka's own messages have fewer than ten. */
  taggedFieldCountMax: 1024,
  /** Largest offset, id or size that a JavaScript number holds exactly. */
  safeIntegerMax: Number.MAX_SAFE_INTEGER,
} as const;
