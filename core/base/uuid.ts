// Kafka's 128-bit ids: topic ids, directory ids, incarnation ids, the cluster id. Kept as Kafka prints them, 22 characters of
// unpadded URL-safe base 64, so that they serve as map keys and read well in logs.
import type { Brand } from "./brand.ts";
import type { Random } from "./ports.ts";

export type Uuid = Brand<string, "Uuid">;

export const uuidZero = "AAAAAAAAAAAAAAAAAAAAAA" as Uuid;
/** `__cluster_metadata`'s topic id, and the one value besides zero that is never drawn. */
export const uuidMetadataTopic = "AAAAAAAAAAAAAAAAAAAAAQ" as Uuid;

export function uuidFromBytes(bytes: Buffer, position = 0): Uuid {
  return bytes.toString("base64url", position, position + 16) as Uuid;
}

/** Writes 16 bytes at `position`. */
export function uuidToBytes(uuid: Uuid, target: Buffer, position = 0): void {
  target.write(uuid, position, 16, "base64url");
}

/** Null when `text` is not 22 characters of URL-safe base 64 that stand for 16 bytes. */
export function parseUuid(text: string): Uuid | null {
  if (!/^[A-Za-z0-9_-]{22}$/.test(text)) return null;
  return Buffer.from(text, "base64url").toString("base64url") === text ? (text as Uuid) : null;
}

/** Version 4, as `org.apache.kafka.common.Uuid.randomUuid`: never reserved, never beginning with `-` (it would read as an option). */
export function randomUuid(random: Random): Uuid {
  for (;;) {
    const bytes = random.bytes(16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const uuid = uuidFromBytes(bytes);
    if (!uuid.startsWith("-") && uuid !== uuidZero && uuid !== uuidMetadataTopic) return uuid;
  }
}
