// What a node's settings may ask for that this broker does not do yet, where doing something else in silence would harm: a listener that
// should be encrypted, an authorizer that should guard, a cluster of several nodes.
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { StartRefused } from "./start-refused.ts";

/** Throws StartRefused. */
export function checkSupported(settings: BrokerSettings): void {
  const { isBroker, isController, listeners } = settings.shape;
  if (!isBroker || !isController)
    throw unsupported(
      `process.roles=${settings.get("process.roles").join(",")} asks for one role`,
      "set process.roles=broker,controller: a node has both so far",
    );
  const guarded = listeners.find(({ securityProtocol }) => securityProtocol !== "PLAINTEXT");
  if (guarded !== undefined)
    throw unsupported(
      `the listener ${guarded.listenerName} asks for ${guarded.securityProtocol}, and listeners are plain so far`,
      "map it to PLAINTEXT in listener.security.protocol.map on a network that you trust",
    );
  const authorizer = settings.get("authorizer.class.name");
  if (authorizer !== "")
    throw unsupported(
      `authorizer.class.name=${authorizer} asks for access control, and everybody may do everything so far`,
      "remove the setting on a network that you trust",
    );
}

function unsupported(message: string, nextStep: string): StartRefused {
  return new StartRefused("unsupported", message, nextStep);
}
