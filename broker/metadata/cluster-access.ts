// What handlers may ask of the cluster besides its image: the node's settings, the quorum, producer ids. Behind it one node or many.
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import type { ApiKey, RequestOf } from "@blumfeld/core/protocol";
import type { LeaderAndEpoch, QuorumDescription } from "@blumfeld/core/quorum";
import type { HandlerResult, RequestContext } from "../request-context.ts";

export type TransactionalInit = (
  request: RequestOf<typeof ApiKey.InitProducerId>,
  context: RequestContext<typeof ApiKey.InitProducerId>,
) => HandlerResult<typeof ApiKey.InitProducerId>;

export interface ClusterAccess {
  /** The node's, with the cluster's dynamic ones over them. */
  readonly settings: BrokerSettings;
  readonly leader: LeaderAndEpoch;
  readonly kraftVersion: number;
  /** Of this broker's registration; -1 before it. */
  readonly brokerEpoch: number;
  /** Null where this node does not lead the quorum: whoever does has to be asked. */
  describeQuorum(nowMs: number): QuorumDescription | null;
  /** KIP-853. Null where this node does not lead the quorum. */
  addRaftVoter?(request: RequestOf<typeof ApiKey.AddRaftVoter>): HandlerResult<typeof ApiKey.AddRaftVoter> | null;
  removeRaftVoter?(
    request: RequestOf<typeof ApiKey.RemoveRaftVoter>,
  ): HandlerResult<typeof ApiKey.RemoveRaftVoter> | null;
  /** A producer id that no one has. Rejects with RequestError where the controller gives no more. */
  nextProducerId(): bigint | Promise<bigint>;
  /** InitProducerId with a transactional id: the transaction coordinator sets it when it starts. */
  transactionalInit: TransactionalInit | null;
}
