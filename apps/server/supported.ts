// What a node's settings may ask for that this broker does not do yet, where doing something else in silence would harm: a listener that
// should be encrypted.
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { StartRefused } from "./start-refused.ts";

/** Throws StartRefused. */
export function checkSupported(settings: BrokerSettings): void {
  const { listeners } = settings.shape;
  const encrypted = listeners.find(({ securityProtocol }) => securityProtocol.endsWith("SSL"));
  if (encrypted !== undefined)
    throw unsupported(
      `the listener ${encrypted.listenerName} asks for ${encrypted.securityProtocol}, and nothing is encrypted so far`,
      "map it to PLAINTEXT or SASL_PLAINTEXT in listener.security.protocol.map on a network that you trust",
    );
}

function unsupported(message: string, nextStep: string): StartRefused {
  return new StartRefused("unsupported", message, nextStep);
}
