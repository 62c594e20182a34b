// The runs with members in processes of their own, and the names of sets of runs on the command line.
import type { Check } from "../runner/checks.ts";
import { judge, knownDifferences } from "../runner/checks.ts";
import type { ClientReport } from "../runner/report.ts";
import { type Checklist, Cluster, type ClusterOptions } from "./cluster.ts";
import { groupRuns, runGroup } from "./groups.ts";
import { runShare } from "./share.ts";
import { runCopy, runWordCount } from "./transactions.ts";

type MemberRun = { readonly name: string; run(cluster: Cluster): Promise<Checklist> };

export const memberRuns: readonly MemberRun[] = [
  ...groupRuns.map((each) => ({ name: each.name, run: (cluster: Cluster) => runGroup(cluster, each) })),
  { name: "share-members", run: (cluster) => runShare(cluster, "share-members") },
  { name: "transactions-copy", run: (cluster) => runCopy(cluster, "transactions-copy") },
  { name: "streams-classic", run: (cluster) => runWordCount(cluster, "streams-classic", "classic") },
  { name: "streams-group", run: (cluster) => runWordCount(cluster, "streams-group", "streams") },
];

/** Names that stand for several. */
export const sets: Readonly<Record<string, readonly string[]>> = {
  groups: ["java-groups", ...groupRuns.map((each) => each.name), "kafka-tools-groups"],
  share: ["java-share-groups", "share-members", "kafka-tools-groups"],
  transactions: [
    "java-transactions",
    "transactions-copy",
    "streams-classic",
    "streams-group",
    "kafka-tools-transactions",
  ],
};

/** Runs at a time: much of each is waiting until a session has ended. */
const runsAtATime = 2;

/** Runs these on one broker; one report for each, in their order. */
export async function runMembers(names: ReadonlySet<string>, options: ClusterOptions): Promise<ClientReport[]> {
  const wanted = memberRuns.filter((each) => names.has(each.name));
  if (wanted.length === 0) return [];
  const reports: ClientReport[] = [];
  const report = (at: number, client: string, checks: readonly Check[], startedMs: number): void => {
    const known = options.target.kind === "kafka" ? [] : knownDifferences({ name: client, folder: "members" });
    const seconds = (performance.now() - startedMs) / 1000;
    for (const check of checks) if (!check.ok) options.say(`FAIL ${check.name}: ${check.why}`);
    options.say(
      `${client}: ${checks.filter((check) => check.ok).length} of ${checks.length} ok, ${seconds.toFixed(1)} s`,
    );
    reports[at] = { client, outcomes: judge(checks, known), seconds };
  };
  const cluster = new Cluster(options);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < wanted.length; at = next++) {
      const startedMs = performance.now();
      const list = await wanted[at]!.run(cluster);
      const failure = cluster.brokerFailure();
      if (failure !== "") list.note("the broker survives", failure.replaceAll("\n", " "));
      report(at, wanted[at]!.name, list.checks, startedMs);
      if (failure !== "") next = wanted.length;
    }
  };
  try {
    await cluster.start();
    await Promise.all(Array.from({ length: runsAtATime }, worker));
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).replaceAll("\n", " ").slice(0, 1000);
    report(wanted.length, "members", [{ name: "run", ok: false, why }], performance.now());
  } finally {
    await cluster.stop();
  }
  return reports.filter((each) => each !== undefined);
}
