// A node's settings as its data plane takes them.

import { hostname } from "node:os";
import type { BrokerConfig, ListenerConfig } from "@blumfeld/broker";
import type { Uuid } from "@blumfeld/core/base";
import { supportedFeatures } from "@blumfeld/core/controller";
import type { BrokerSettings, Endpoint } from "@blumfeld/core/model/settings";

/** Slower requests are logged: a turn of the loop should take a hundredth of this. */
export const slowRequestMsDefault = 1_000;

export function brokerConfigFrom(
  settings: BrokerSettings,
  directoryIds: readonly Uuid[],
  listenersOf: "clients" | "controllers" = "clients",
): BrokerConfig {
  const overrides = new AddressCounts(() => settings.get("max.connections.per.ip.overrides"));
  return {
    nodeId: settings.shape.nodeId,
    rack: settings.get("broker.rack"),
    directoryIds,
    listeners: listenerConfigs(settings, listenersOf),
    requestBytesMax: settings.get("socket.request.max.bytes"),
    connectionsIdleMs: settings.get("connections.max.idle.ms"),
    // These change while the node runs: asked at each connection.
    get connectionsMax() {
      return settings.get("max.connections");
    },
    get connectionsPerIpMax() {
      return settings.get("max.connections.per.ip");
    },
    get connectionsPerIpMaxOf() {
      return overrides.read();
    },
    get connectionRateMax() {
      return settings.get("max.connection.creation.rate");
    },
    backlog: settings.get("socket.listen.backlog.size"),
    fetchSessionCountMax: settings.get("max.incremental.fetch.session.cache.slots"),
    fetchBytesMax: settings.get("fetch.max.bytes"),
    isUnstableApiVersionsEnabled: settings.get("unstable.api.versions.enable"),
    supportedFeatures: [...supportedFeatures(settings.get("unstable.feature.versions.enable"))].map(
      ([name, range]) => ({
        name,
        ...range,
      }),
    ),
    slowRequestMs: slowRequestMsDefault,
  };
}

/** Those of clients and brokers, or those of controllers. */
function listenerConfigs(settings: BrokerSettings, listenersOf: "clients" | "controllers"): ListenerConfig[] {
  const { advertisedListeners, controllerListenerNames, interBrokerListenerName, listeners } = settings.shape;
  const isAdvertised = settings.get("advertised.listeners") !== null;
  return listeners
    .filter(({ listenerName }) => controllerListenerNames.includes(listenerName) === (listenersOf === "controllers"))
    .map(({ listenerName: name, host, port }) => {
      const advertised = isAdvertised
        ? advertisedListeners.find((one: Endpoint) => one.listenerName === name)
        : undefined;
      return {
        name,
        host,
        port,
        isInterBroker: listenersOf === "controllers" || name === interBrokerListenerName,
        // Bound to all addresses and told nothing else, a node advertises its name, as Kafka does.
        advertisedHost: advertised?.host || (host === "" ? hostname() : null),
        advertisedPort: advertised?.port ?? null,
      };
    });
}

/** `address:count` entries, in the form that the settings' rules accepted; taken apart again when they change. */
class AddressCounts {
  private readonly textNow: () => string;
  private text = "";
  private counts: ReadonlyMap<string, number> = new Map();

  constructor(textNow: () => string) {
    this.textNow = textNow;
  }

  read(): ReadonlyMap<string, number> {
    const text = this.textNow();
    if (text === this.text) return this.counts;
    const counts = new Map<string, number>();
    for (const entry of text.split(",").map((part) => part.trim())) {
      const colon = entry.lastIndexOf(":");
      if (colon > 0) counts.set(entry.slice(0, colon).trim(), Number(entry.slice(colon + 1)));
    }
    this.text = text;
    this.counts = counts;
    return counts;
  }
}
