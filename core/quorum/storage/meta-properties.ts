// meta.properties: which cluster, which node and which directory a log directory belongs to. Kafka's version 1. Text in, values out.
import { parseUuid, type Uuid } from "../../base/index.ts";
import { formatProperties, parseProperties } from "../../model/settings/index.ts";

export const metaPropertiesName = "meta.properties";
const metaPropertiesVersion = 1;

export interface MetaProperties {
  readonly clusterId: string;
  readonly nodeId: number;
  /** Null in directories that a Kafka before 3.7 formatted: the first start gives them one. */
  readonly directoryId: Uuid | null;
}

export type MetaPropertiesOutcome =
  | { readonly kind: "read"; readonly properties: MetaProperties }
  /** A clause for a message: what is wrong. */
  | { readonly kind: "damaged"; readonly problem: string };

export function parseMetaProperties(bytes: Uint8Array): MetaPropertiesOutcome {
  const pairs = new Map(parseProperties(bytes).map(({ name, value }) => [name, value]));
  const version = pairs.get("version");
  if (version !== String(metaPropertiesVersion)) {
    const value = version === undefined ? "no version" : `version=${version}`;
    return damaged(`${value}; only version=${metaPropertiesVersion} (KRaft) can be read`);
  }
  const clusterId = pairs.get("cluster.id");
  if (clusterId === undefined || clusterId === "") return damaged("no cluster.id");
  const nodeText = pairs.get("node.id") ?? "";
  if (!/^\d{1,10}$/.test(nodeText)) return damaged(`node.id=${nodeText}, which is not a node id`);
  const directoryText = pairs.get("directory.id");
  const directoryId = directoryText === undefined ? null : parseUuid(directoryText);
  if (directoryText !== undefined && directoryId === null) {
    return damaged(`directory.id=${directoryText}, which is not a Kafka uuid`);
  }
  return { kind: "read", properties: { clusterId, nodeId: Number(nodeText), directoryId } };
}

function damaged(problem: string): MetaPropertiesOutcome {
  return { kind: "damaged", problem };
}

export function formatMetaProperties(properties: MetaProperties): string {
  const pairs: [string, string][] = [["node.id", String(properties.nodeId)]];
  if (properties.directoryId !== null) pairs.push(["directory.id", properties.directoryId]);
  pairs.push(["version", String(metaPropertiesVersion)], ["cluster.id", properties.clusterId]);
  return formatProperties(pairs, [""]);
}
