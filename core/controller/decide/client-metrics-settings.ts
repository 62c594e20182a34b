// The settings of a client metrics subscription (KIP-714): which metrics, how often, of which clients.

export const clientMetricsDefaults: ReadonlyMap<string, string> = new Map([
  ["interval.ms", "300000"],
  ["match", ""],
  ["metrics", ""],
]);
export const clientMetricsListNames: ReadonlySet<string> = new Set(["match", "metrics"]);

const intervalMsMin = 100;
const intervalMsMax = 3_600_000;

/** What a client may be chosen by. */
const matchNames: ReadonlySet<string> = new Set([
  "client_instance_id",
  "client_id",
  "client_software_name",
  "client_software_version",
  "client_source_address",
  "client_source_port",
]);

export function checkClientMetricsSettings(settings: ReadonlyMap<string, string>): { readonly message: string }[] {
  const problems: { readonly message: string }[] = [];
  for (const [name, value] of settings) {
    if (!clientMetricsDefaults.has(name)) problems.push({ message: `Unknown client metrics configuration ${name}` });
    if (name === "interval.ms") {
      const interval = /^\d{1,9}$/.test(value.trim()) ? Number(value) : Number.NaN;
      if (!(interval >= intervalMsMin && interval <= intervalMsMax)) {
        problems.push({ message: `interval.ms=${value} is not ${intervalMsMin} to ${intervalMsMax}` });
      }
    }
    if (name === "match") problems.push(...matchProblems(value));
  }
  return problems;
}

function matchProblems(match: string): { readonly message: string }[] {
  for (const pattern of match.split(",")) {
    if (pattern.trim() === "") continue;
    const equals = pattern.indexOf("=");
    const name = pattern.slice(0, equals).trim();
    if (equals < 0 || !matchNames.has(name)) {
      return [{ message: `match has ${pattern}, which is not NAME=PATTERN with one of ${[...matchNames].join(", ")}` }];
    }
    try {
      new RegExp(pattern.slice(equals + 1).trim());
    } catch {
      return [{ message: `match has ${pattern}, whose pattern is not a regular expression` }];
    }
  }
  return [];
}
