// The answer to ApiVersions against what Kafka 4.3's broker and controller answered, byte for byte.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../testing/shared.ts";
import {
  ApiKey,
  apiVersionsRefusal,
  apiVersionsRefusalVersion,
  apiVersionsResponse,
  decodeResponseFrame,
  ErrorCode,
  encodeResponseFrame,
  type ListenerKind,
} from "./index.ts";

interface Line {
  readonly via: string;
  readonly dir: string;
  readonly key: number;
  readonly version: number;
  readonly corr: number;
  readonly hex: string;
}

describe.skipIf(missingShared)("ApiVersions as Kafka answered it", () => {
  const lines: Line[] = missingShared
    ? []
    : readFileSync(sharedPath("protocol/transcripts/api-versions.jsonl"), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Line)
        .filter((line) => line.dir === "resp" && line.key === ApiKey.ApiVersions);
  const bodyOf = (line: Line) =>
    decodeResponseFrame(
      ApiKey.ApiVersions,
      line.version > 4 ? 0 : line.version,
      Buffer.from(line.hex, "hex").subarray(4),
    );

  test.each([
    ["CLIENT", "broker"],
    ["CONTROLLER", "controller"],
  ] as [string, ListenerKind][])("%s", (via, listener) => {
    const answers = lines.filter((line) => line.via === via && bodyOf(line).errorCode === ErrorCode.NONE);
    expect(answers.map((line) => line.version)).toEqual([0, 1, 2, 3, 4]);
    const newest = bodyOf(answers.at(-1)!);
    for (const line of answers) {
      const given = bodyOf(line);
      // The order of the features comes from a hash map of theirs; the features themselves are those of that cluster.
      const order = (name: string): number => given.supportedFeatures.findIndex((one) => one.name === name);
      const answer = apiVersionsResponse(line.version, {
        listener,
        supportedFeatures: [...newest.supportedFeatures].sort((one, other) => order(one.name) - order(other.name)),
        finalizedFeatures: given.finalizedFeatures.map(({ name, maxVersionLevel }) => ({
          name,
          level: maxVersionLevel,
        })),
        finalizedFeaturesEpoch: given.finalizedFeaturesEpoch,
      });
      const ours = Buffer.concat(encodeResponseFrame(ApiKey.ApiVersions, line.version, line.corr, answer));
      expect(ours.toString("hex")).toBe(line.hex);
    }
  });

  test("a version too new", () => {
    const refusals = lines.filter((line) => line.version === 99);
    expect(refusals.length).toBe(2);
    for (const line of refusals) {
      const ours = encodeResponseFrame(ApiKey.ApiVersions, apiVersionsRefusalVersion, line.corr, apiVersionsRefusal());
      expect(Buffer.concat(ours).toString("hex")).toBe(line.hex);
      // A client that asked for a flexible version reads it all the same.
      expect(decodeResponseFrame(ApiKey.ApiVersions, 4, Buffer.from(line.hex, "hex").subarray(4)).errorCode).toBe(35);
    }
  });
});
