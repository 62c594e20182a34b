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
  /**
   * Most array elements in one message, all arrays together. An element of 3 bytes may become an object of 100, so bytes alone do not
   * bound what a peer can make us hold, nor how long reading it stops everything else.
   */
  messageElementCountMax: 16 * mebibyte,
  /** The same for a request, which anybody may send: a fetch of 100,000 partitions has a tenth of it. */
  requestElementCountMax: mebibyte,
  /** Largest offset, id or size that a JavaScript number holds exactly. */
  safeIntegerMax: Number.MAX_SAFE_INTEGER,
} as const;
