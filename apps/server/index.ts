// blumfeld: a Kafka broker inside a Node program.
//   import { startBroker } from "blumfeld";
//   await using broker = await startBroker({ storage: "memory", port: 0 });
//   // any Kafka client connects to broker.bootstrap

export { controllerCountOf, type PlannedNode, planCluster } from "./cluster-plan.ts";
export { type FormatPlan, type Formatted, formatStorage } from "./format.ts";
export {
  type InitialControllers,
  parseFeatures,
  parseInitialControllers,
  parseReleaseVersion,
} from "./format-options.ts";
export { freePorts } from "./free-ports.ts";
export { createProcessLogger, type LogLevel, silentLogger } from "./logger.ts";
export {
  configureNode,
  defaultDataDirectory,
  defaultHost,
  defaultPort,
  type NodeOptions,
  parseAddress,
  SettingsRefused,
} from "./options.ts";
export { type RunningBroker, type StartOptions, startBroker } from "./start-broker.ts";
export {
  type ClusterNode,
  type ClusterOptions,
  clusterBrokersMax,
  type RunningCluster,
  startCluster,
} from "./start-cluster.ts";
export { type StartRefusalCode, StartRefused } from "./start-refused.ts";
