// One flow against a running broker: what the flow needs is set up, then its lines are replayed.
import { type Flow, recordedTopicIds, scopeOf, topicIdOfClient } from "./flows.ts";
import { type ReplayReport, replay } from "./replay.ts";
import { SetupClient } from "./setup.ts";
import { readTranscript } from "./transcript.ts";
import { ValueTable } from "./values.ts";

/** The listeners of the recorded broker: ports of the broker under test that stand for them. */
export interface FlowTarget {
  readonly client: number;
  /** Left out: the connections to the controller listener are passed over. */
  readonly controller?: number;
  /** APIs that the broker does not serve. */
  readonly apisSkipped?: ReadonlySet<number>;
}

export async function runFlow(flow: Flow, target: FlowTarget): Promise<ReplayReport> {
  const lines = readTranscript(flow.name);
  const values = new ValueTable();
  const client = await SetupClient.open(target.client);
  try {
    const recordedIds = recordedTopicIds(lines);
    for (const [clientId, topic] of Object.entries(flow.topicOfClient ?? {})) {
      recordedIds.set(topic, topicIdOfClient(lines, clientId)!);
    }
    for (const { name, partitionCount, recordCount, configs } of flow.topics) {
      const id = await client.createTopic(name, partitionCount, configs);
      if (recordCount !== undefined) await client.fill(name, partitionCount, recordCount);
      const recorded = recordedIds.get(name);
      if (recorded !== undefined) values.bind("topic", recorded, id);
    }
    for (const groupId of flow.groups ?? []) await client.awaitGroupCoordinator(groupId);
    const { 0: first, ...later } = flow.steps ?? {};
    await first?.(client);
    const before = Object.fromEntries(
      Object.entries(later).map(([correlationId, step]) => [correlationId, () => step(client)]),
    );
    const ports = {
      CLIENT: target.client,
      ...(target.controller === undefined ? {} : { CONTROLLER: target.controller }),
    };
    const { apisSkipped } = target;
    const { isPaced } = flow;
    const scope = scopeOf(flow, apisSkipped);
    return await replay({ lines, values, before, apisSkipped, isPaced, scope, target: { ports } });
  } finally {
    client.close();
  }
}

/** For people: one line a difference. */
export function findingLines(report: ReplayReport): string[] {
  return report.findings.map(({ request, path, recorded, ours }) => `${request} ${path}: ${recorded} became ${ours}`);
}
