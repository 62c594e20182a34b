// DescribeConfigs as Kafka 4.3's broker answered it, against ours: the values, their sources, and every synonym in its order.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingShared, sharedPath } from "../../../testing/shared.ts";
import { ApiKey, type DescribeConfigsRequest, decodeRequestHead, decodeResponseFrame } from "../../protocol/index.ts";
import { type BrokerSettings, parseBrokerSettings } from "./broker-settings.ts";
import { type DescribedSetting, settingSource, settingTypeCode } from "./described-setting.ts";
import { describeGroupSetting, describeTopicSetting } from "./topic-settings.ts";

interface Line {
  readonly api: string;
  readonly conn: number;
  readonly corr: number;
  readonly dir: string;
  readonly hex: string;
  readonly version: number;
}
interface Entry {
  readonly name: string;
  readonly value: string | null;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: boolean;
  readonly configType: number;
  readonly synonyms: readonly { readonly name: string; readonly value: string | null; readonly source: number }[];
}
interface Answered {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly hasSynonyms: boolean;
  readonly entries: readonly Entry[];
}

const kinds = { topic: 2, broker: 4, group: 32 };

function readAnswers(): Answered[] {
  const answers: Answered[] = [];
  const asked = new Map<string, DescribeConfigsRequest>();
  for (const line of readFileSync(sharedPath("protocol/transcripts/admin-configs.jsonl"), "utf8")
    .trimEnd()
    .split("\n")) {
    const { api, conn, corr, dir, hex, version } = JSON.parse(line) as Line;
    if (api !== "DescribeConfigs") continue;
    const frame = Buffer.from(hex, "hex").subarray(4);
    if (dir === "req") {
      const head = decodeRequestHead(frame);
      if ("unsupported" in head) throw new Error("unsupported");
      asked.set(`${conn} ${corr}`, head.api.decodeRequest(head.reader, head.version) as DescribeConfigsRequest);
      continue;
    }
    const response = decodeResponseFrame(ApiKey.DescribeConfigs, version, frame);
    for (const { resourceType, resourceName, configs } of response.results)
      answers.push({
        resourceType,
        resourceName,
        hasSynonyms: asked.get(`${conn} ${corr}`)!.includeSynonyms,
        entries: configs,
      });
  }
  return answers;
}

/**
 * The answer itself tells what the broker was given: entries and synonyms of the static, dynamic and default-dynamic sources. Secrets
 * come without their value; a stand-in will do, as the answer hides it anyway.
 */
function learn(answers: readonly Answered[], source: number): Map<string, string> {
  const given = new Map<string, string>();
  for (const { resourceType, entries } of answers) {
    if (resourceType !== kinds.broker && resourceType !== kinds.topic) continue;
    for (const entry of entries) {
      if (resourceType === kinds.broker && entry.configSource === source)
        given.set(entry.name, entry.value ?? "hidden");
      for (const synonym of entry.synonyms)
        if (synonym.source === source && synonym.value !== null) given.set(synonym.name, synonym.value);
    }
  }
  return given;
}

function settingsFor(answer: Answered, answers: readonly Answered[]): BrokerSettings {
  const statics = learn(answers, settingSource.staticBroker);
  const outcome = parseBrokerSettings(statics);
  if (!outcome.ok) throw new Error(outcome.problems.map(({ message }) => message).join("\n"));
  const { settings } = outcome;
  const sameTime = answers.filter(
    ({ resourceType, resourceName }) => resourceType === answer.resourceType && resourceName === answer.resourceName,
  );
  settings.applyDynamic(
    learn(sameTime, settingSource.dynamicBroker),
    learn(sameTime, settingSource.dynamicDefaultBroker),
  );
  return settings;
}

function comparable(described: DescribedSetting | null, hasSynonyms: boolean): Entry | null {
  if (described === null) return null;
  const { name, value, source, isReadOnly, isSensitive, type, synonyms } = described;
  return {
    name,
    value,
    readOnly: isReadOnly,
    configSource: source,
    isSensitive,
    configType: type === null ? 0 : settingTypeCode[type],
    synonyms: hasSynonyms ? synonyms : [],
  };
}

describe.skipIf(missingShared)("DescribeConfigs as Kafka answers it", () => {
  const answers = missingShared ? [] : readAnswers();
  test.each(answers.map((answer, index) => ({ index, ...answer })))(
    "$index: resource type $resourceType $resourceName",
    (answer) => {
      const settings =
        answer.resourceType === kinds.broker && answer.resourceName === "" ? null : settingsFor(answer, answers);
      for (const entry of answer.entries) {
        const { name, value, readOnly, configSource, isSensitive, configType, synonyms } = entry;
        const theirs = {
          name,
          value,
          readOnly,
          configSource,
          isSensitive,
          configType,
          synonyms: synonyms.map((one) => ({ name: one.name, value: one.value, source: one.source })),
        };
        if (settings === null) continue;
        const own = new Map<string, string>();
        if ((configSource === settingSource.topic || configSource === settingSource.group) && value !== null)
          own.set(name, value);
        let ours: DescribedSetting | null = null;
        if (answer.resourceType === kinds.broker) ours = settings.describe(name);
        else if (answer.resourceType === kinds.topic) ours = describeTopicSetting(settings, own, name);
        else if (answer.resourceType === kinds.group) ours = describeGroupSetting(settings, own, name);
        else continue;
        expect(comparable(ours, answer.hasSynonyms), name).toEqual(theirs);
      }
    },
  );
});
