// Kafka's wire types over buffers: one door to the reader and the writer.
export { ByteReader, MalformedMessage, stringBytesMax } from "./bytes-reader.ts";
export { ByteWriter, pieceBytesMin, unsignedVarintBytes } from "./bytes-writer.ts";
