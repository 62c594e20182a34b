// What AlterConfigs and CreateTopics may set, on topics, groups and brokers: known names, values in their bounds, and what several settings
// must hold together. The controller asks here before anything is written.
import type { BrokerSettings } from "./broker-settings.ts";
import { dynamicBrokerDefinitions, groupDefinitions, topicDefinitions } from "./definitions.ts";
import { checkValue, definitionOf, parseSettings, problem, type SettingProblem } from "./parse.ts";
import { brokerSynonyms } from "./synonyms.ts";
import { topicSettingsOf } from "./topic-settings.ts";
import { updateModeOf } from "./update-modes.ts";

type Pairs = ReadonlyMap<string, string>;

/** A topic's own settings as they would stand after the change. */
export function checkTopicSettings(broker: BrokerSettings, overrides: Pairs): SettingProblem[] {
  const parsed = parseSettings(topicDefinitions, overrides, { unknownNames: "refuse" });
  if (!parsed.ok) return [...parsed.problems];
  const topic = topicSettingsOf(broker, overrides);
  const problems: SettingProblem[] = [];
  const wrong = (name: string, complaint: string, nextStep: string): void => {
    problems.push(problem(name, overrides.get(name) ?? null, complaint, nextStep));
  };
  const maxLag = topic.get("max.compaction.lag.ms");
  if (topic.get("min.compaction.lag.ms") > maxLag)
    wrong(
      "min.compaction.lag.ms",
      `is above max.compaction.lag.ms=${maxLag}`,
      "lower it or raise max.compaction.lag.ms",
    );
  if (!topic.get("remote.storage.enable")) return problems;
  if (topic.get("cleanup.policy").includes("compact"))
    wrong("remote.storage.enable", "is on for a compacted topic", "set cleanup.policy=delete");
  localRetentionRules(topic.get("retention.ms"), topic.get("local.retention.ms"), "ms", wrong);
  localRetentionRules(topic.get("retention.bytes"), topic.get("local.retention.bytes"), "bytes", wrong);
  return problems;
}

/** What stays on the broker's own disk may not outlast the whole. */
function localRetentionRules(
  whole: number,
  local: number,
  unit: "ms" | "bytes",
  wrong: (name: string, complaint: string, nextStep: string) => void,
): void {
  const name = `local.retention.${unit}`;
  if (whole === -1 || local === -2) return;
  if (local === -1) wrong(name, `is without limit, and retention.${unit}=${whole} is not`, "set a limit");
  else if (local > whole) wrong(name, `is above retention.${unit}=${whole}`, "lower it");
}

/** A group's own settings as they would stand after the change: each within what the brokers allow. */
export function checkGroupSettings(broker: BrokerSettings, overrides: Pairs): SettingProblem[] {
  const parsed = parseSettings(groupDefinitions, overrides, { unknownNames: "refuse" });
  if (!parsed.ok) return [...parsed.problems];
  const problems: SettingProblem[] = [];
  const numberOf = (name: string): number | null => {
    const own = overrides.get(name);
    if (own !== undefined) return Number(own);
    return Object.hasOwn(dynamicBrokerDefinitions, `group.${name}`)
      ? (broker.get(`group.${name}` as never) as number)
      : null;
  };
  for (const name of overrides.keys()) {
    const [kind = "", ...rest] = name.split(".");
    const value = numberOf(name);
    for (const side of ["min", "max"] as const) {
      const boundName = `group.${kind}.${side}.${rest.join(".").replace(/^num\./, "")}`;
      if (value === null || !Object.hasOwn(dynamicBrokerDefinitions, boundName)) continue;
      const bound = broker.get(boundName as never) as number;
      if (side === "min" ? value < bound : value > bound)
        problems.push(
          problem(
            name,
            overrides.get(name) ?? null,
            `is ${side === "min" ? "below" : "above"} the brokers' ${boundName}=${bound}`,
            "stay within it",
          ),
        );
    }
  }
  for (const kind of ["consumer", "share", "streams"]) {
    const session = `${kind}.session.timeout.ms`;
    const heartbeat = numberOf(`${kind}.heartbeat.interval.ms`);
    if (heartbeat === null || (numberOf(session) ?? 0) > heartbeat) continue;
    problems.push(
      problem(
        session,
        overrides.get(session) ?? null,
        `is not above ${kind}.heartbeat.interval.ms=${heartbeat}`,
        "raise it",
      ),
    );
  }
  return problems;
}

/** Kafka's DescribeConfigs resource name of all brokers is empty; `isOfOneBroker` tells the two apart. */
export function checkDynamicBrokerSettings(pairs: Pairs, isOfOneBroker: boolean): SettingProblem[] {
  const problems: SettingProblem[] = [];
  for (const [name, text] of pairs) {
    const known = [name, ...brokerSynonyms(name)].find((synonym) => definitionOf(dynamicBrokerDefinitions, synonym));
    const definition = known === undefined ? undefined : definitionOf(dynamicBrokerDefinitions, known);
    // A name of nobody's is a plugin's: kept, as Kafka keeps it.
    if (definition === undefined) continue;
    const shown = definition.type === "PASSWORD" ? "[hidden]" : text;
    const mode = updateModeOf(name);
    if (mode === "read-only")
      problems.push(
        problem(name, shown, "cannot change while a broker runs", "set it in server.properties and restart"),
      );
    else if (mode === "per-broker" && !isOfOneBroker)
      problems.push(problem(name, shown, "can be set for one broker only", "name the broker"));
    else {
      const checked = checkValue(name, definition, text);
      if ("message" in checked) problems.push(checked);
    }
  }
  return problems;
}
