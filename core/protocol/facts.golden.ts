// Our tables and declarations against the facts read off Kafka 4.3's classes.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import { apis, errorOf, errorRows, hashPositive, murmur2, partitionOfKey } from "./index.ts";

function rowsOf(file: string): string[][] {
  if (missingShared) return [];
  const [, ...rows] = readFileSync(sharedPath(`protocol/${file}`), "utf8")
    .trimEnd()
    .split("\n");
  return rows.map((row) => row.split("\t"));
}

describe.skipIf(missingShared)("facts of Kafka 4.3", () => {
  test("errors", () => {
    expect(errorRows.map(({ code, name, retriable }) => [String(code), name, String(retriable)])).toEqual(
      rowsOf("errors.tsv").map((row) => row.slice(0, 3)),
    );
    for (const { message } of errorRows) expect(message).not.toBe("");
    expect(errorOf(9999).name).toBe("UNKNOWN_SERVER_ERROR");
  });

  test("API keys", () => {
    const ours = [...apis.values()].map((api) => [
      String(api.key),
      api.upperName,
      String(api.minVersion),
      String(api.maxVersion),
      String(api.latestStableVersion),
      String(api.flexibleFrom),
      [...api.listeners]
        .map((one) => one.toUpperCase())
        .sort()
        .join(", "),
      String(api.requestHeaderVersion(api.maxVersion)),
      String(api.responseHeaderVersion(api.maxVersion)),
    ]);
    const facts = rowsOf("api-keys.tsv").map((row) => row.map((cell) => cell.replace(/^\[(.*)\]$/, "$1")));
    expect(ours).toEqual(facts);
  });

  test("murmur2", () => {
    const rows = rowsOf("murmur2.tsv");
    expect(rows.length).toBe(60);
    for (const [hex, hash, positive, partition] of rows) {
      const key = Buffer.from(hex!, "hex");
      expect([murmur2(key), hashPositive(murmur2(key)), partitionOfKey(key, 6)]).toEqual(
        [hash, positive, partition].map(Number),
      );
    }
  });
});
