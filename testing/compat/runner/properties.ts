// The server.properties of a broker under test, in Kafka's keys, so that one file starts Apache Kafka or our broker; and the wait until
// a broker answers.
import { connect } from "node:net";

export type NodeProperties = {
  port: number;
  controllerPort: number;
  dataDir: string;
  /** Further keys; they win over those below. */
  properties?: Readonly<Record<string, string | number>> | undefined;
};

/** One combined node with replication factor 1 everywhere. */
export function serverProperties(node: NodeProperties): string {
  const entries: Record<string, string | number> = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${node.controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${node.port}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "log.dirs": node.dataDir,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    ...node.properties,
  };
  return `${Object.entries(entries)
    .map(([key, value]) => `${key}=${value}`)
    .join("\n")}\n`;
}

// ApiVersions version 0, correlation id 7, client id null: the one request every broker must answer before it knows anything of a peer.
const apiVersionsRequest = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]);

function answersApiVersions(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let received = Buffer.alloc(0);
    const finish = (value: boolean): void => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(2000, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    socket.once("connect", () => socket.write(apiVersionsRequest));
    socket.on("data", (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (received.length >= 10) finish(received.readInt32BE(4) === 7 && received.readInt16BE(8) === 0);
    });
  });
}

/** Resolves when the broker on 127.0.0.1 answers ApiVersions; throws after `readyMsMax` or when its process has ended. */
export async function waitForBroker(
  port: number,
  readyMsMax: number,
  exitCode: () => number | undefined,
): Promise<void> {
  const untilMs = performance.now() + readyMsMax;
  while (!(await answersApiVersions(port))) {
    if (exitCode() !== undefined) throw new Error(`the broker ended with exit code ${exitCode()} before it was ready`);
    if (performance.now() > untilMs)
      throw new Error(`the broker did not answer on port ${port} within ${readyMsMax / 1000} s`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
