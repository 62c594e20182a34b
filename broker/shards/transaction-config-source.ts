// The transactions' settings over the node's: read at each use.
import type { TransactionConfig } from "@blumfeld/core/coordinator";
import type { BrokerParts } from "../parts.ts";

const transactionVersionFeature = "transaction.version";

export function transactionConfigFrom(parts: Pick<BrokerParts, "cluster" | "metadata">): TransactionConfig {
  const { settings } = parts.cluster;
  return {
    get timeoutMsMax() {
      return settings.get("transaction.max.timeout.ms");
    },
    get isTwoPhaseCommitEnabled() {
      return settings.get("transaction.two.phase.commit.enable");
    },
    get idExpirationMs() {
      return settings.get("transactional.id.expiration.ms");
    },
    get idExpirationIntervalMs() {
      return settings.get("transaction.remove.expired.transaction.cleanup.interval.ms");
    },
    get transactionVersion() {
      return parts.metadata.image.features.level(transactionVersionFeature);
    },
  };
}
