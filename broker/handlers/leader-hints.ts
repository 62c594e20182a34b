// KIP-951: an answer that says "not the leader" says who is, and where, so that the client need not ask for metadata first.
import type { MetadataImage } from "@blumfeld/core/controller";
import { ErrorCode } from "@blumfeld/core/protocol";

interface NodeEndpoint {
  nodeId: number;
  host: string;
  port: number;
  rack: string | null;
}

export class LeaderHints {
  /** Each leader that was named, once. */
  readonly endpoints: NodeEndpoint[] = [];
  private readonly image: MetadataImage;
  private readonly listenerName: string;

  constructor(image: MetadataImage, listenerName: string) {
    this.image = image;
    this.listenerName = listenerName;
  }

  /** Undefined where the error is not about leadership, or nobody is known to lead. */
  of(topic: string, index: number, errorCode: number): { leaderId: number; leaderEpoch: number } | undefined {
    if (errorCode !== ErrorCode.NOT_LEADER_OR_FOLLOWER && errorCode !== ErrorCode.FENCED_LEADER_EPOCH) return undefined;
    const partition = this.image.topics.partition(topic, index);
    if (partition === undefined) return undefined;
    const broker = this.image.cluster.broker(partition.leader);
    const endpoint = broker?.endpoints.get(this.listenerName);
    if (broker !== undefined && endpoint !== undefined && !this.endpoints.some((one) => one.nodeId === broker.id)) {
      this.endpoints.push({ nodeId: broker.id, host: endpoint.host, port: endpoint.port, rack: broker.rack });
    }
    return { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch };
  }
}
