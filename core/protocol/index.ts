// Kafka 4.3's protocol: types and codecs of every API, record and internal message, generated from the declarations in messages/; what
// stands around them on the wire; the error table. Decides nothing and keeps nothing. A decoded message holds views of the buffer that it
// was read from; an encoded one holds the record buffers that it was given.
//
// A broker:
//   const head = decodeRequestHead(frame);                      // a frame without its size; throws MalformedMessage: close
//   if ("unsupported" in head) …                                // close, or answer apiVersionsRefusal() in version 0
//   if (!head.api.listeners.includes("broker")) …               // close
//   const request = decodeFetchRequest(head.reader, head.version);            // every field is there, int64 is bigint
//   const response: FetchResponseInit = { responses: [{ topicId, partitions: [{ partitionIndex: 0, errorCode: ErrorCode.NONE,
//     highWatermark: 42, records: [sliceOfSegment, anotherSlice] }] }] };     // what is left out has its default
//   socket.writev(encodeResponseFrame(ApiKey.Fetch, head.version, head.correlationId, response));   // Buffer[]; slices not copied
// A client:
//   const pieces = encodeRequestFrame(ApiKey.Metadata, 13, { correlationId: 7, clientId: "me" }, { topics: null });
//   const metadata = decodeResponseFrame(ApiKey.Metadata, 13, answer);        // MetadataResponse; `answer` without its size
//   errorOf(metadata.topics[0]!.errorCode).retriable;
// The cluster's logs:
//   const record = decodeMetadataRecord(value);                 // { type: "TopicRecord", version, value }, told apart by `type`
//   const bytes = encodeMetadataRecord({ type: "TopicRecord", version: 0, value: { name: "orders", topicId } });
//   const { key, value } = groupCoordinatorRecords.encode({ type: "OffsetCommit", key: {…}, valueVersion: 4, value: {…} });
export * from "./api-versions.ts";
export * from "./apis.ts";
export * from "./codec.ts";
export * from "./consumer-protocol.ts";
export * from "./control-records.ts";
export * from "./errors.ts";
export * from "./frame.ts";
export * from "./generated/index.ts";
export * from "./murmur2.ts";
export * from "./principal.ts";
export * from "./record-registry.ts";
