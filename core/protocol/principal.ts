// How a broker tells the controller for whom it forwards a request: the principal inside an Envelope, after an int16 version.
import { ByteReader, ByteWriter, MalformedMessage } from "../base/index.ts";
import {
  type DefaultPrincipalData,
  type DefaultPrincipalDataInit,
  decodeDefaultPrincipalData,
  encodeDefaultPrincipalData,
} from "./generated/data/default-principal.ts";

const principalVersion = 0;

/** Throws MalformedMessage, also for a version that is not known: a principal half understood must not be trusted. */
export function readPrincipal(bytes: Buffer): DefaultPrincipalData {
  const reader = new ByteReader(bytes);
  const version = reader.int16();
  if (version !== principalVersion) throw new MalformedMessage(`principal version ${version}`);
  return decodeDefaultPrincipalData(reader, version);
}

export function writePrincipal(principal: DefaultPrincipalDataInit): Buffer {
  const writer = new ByteWriter(64);
  writer.int16(principalVersion);
  encodeDefaultPrincipalData(writer, principal, principalVersion);
  return writer.finishContiguous();
}
