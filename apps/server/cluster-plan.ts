// What the nodes of a cluster on one machine are told: the first three are controllers too, replication is as wide as there are brokers, up to three.
// For `startCluster`, which runs them in one process, and `blum start --brokers`, which runs each in its own.
import { formatHostAndPort } from "@blumfeld/core/model/settings";

/** More voters than this make a quorum slower, not safer. */
export const controllerCountMax = 3;

export interface ClusterShape {
  readonly host: string;
  /** Where each broker's clients connect; 0 takes a free one. As many as there are brokers. */
  readonly clientPorts: readonly number[];
  /** Of the controllers' listeners, all known before the first node starts. As many as there are controllers. */
  readonly controllerPorts: readonly number[];
  readonly directoryOf: (nodeId: number) => string;
  /** Kafka's settings, for all nodes; they win. */
  readonly properties: Readonly<Record<string, string | number | boolean>>;
}

export interface PlannedNode {
  /** From 1 on. */
  readonly nodeId: number;
  readonly isController: boolean;
  readonly directory: string;
  readonly properties: Readonly<Record<string, string>>;
}

export function controllerCountOf(brokerCount: number): number {
  return Math.min(brokerCount, controllerCountMax);
}

export function planCluster(shape: ClusterShape): PlannedNode[] {
  const { clientPorts, controllerPorts, directoryOf, host, properties } = shape;
  const voters = controllerPorts.map((port, index) => `${index + 1}@${formatHostAndPort(host, port)}`).join(",");
  const replicas = String(Math.min(3, clientPorts.length));
  const inSyncMin = clientPorts.length >= 3 ? "2" : "1";
  return clientPorts.map((clientPort, index): PlannedNode => {
    const nodeId = index + 1;
    const isController = index < controllerPorts.length;
    const clients = `PLAINTEXT://${formatHostAndPort(host, clientPort)}`;
    const controllers = isController ? `,CONTROLLER://${formatHostAndPort(host, controllerPorts[index]!)}` : "";
    const given = Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, String(value)]));
    return {
      nodeId,
      isController,
      directory: directoryOf(nodeId),
      properties: {
        "process.roles": isController ? "broker,controller" : "broker",
        "node.id": String(nodeId),
        listeners: `${clients}${controllers}`,
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": voters,
        "log.dirs": directoryOf(nodeId),
        "default.replication.factor": replicas,
        "min.insync.replicas": inSyncMin,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": inSyncMin,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": inSyncMin,
        "group.initial.rebalance.delay.ms": "0",
        ...given,
      },
    };
  });
}
