// Streams groups (KIP-1071).
export { assignSticky } from "./sticky-assignor.ts";
export * from "./streams-config.ts";
export { type DescribedStreamsGroup, describeStreamsGroup, failedStreamsGroup } from "./streams-describe.ts";
export { StreamsGroup, type StreamsGroupState } from "./streams-group.ts";
export { refusedStreamsHeartbeat, type StreamsAnswer, StreamsHeartbeat } from "./streams-heartbeat.ts";
export { StreamsLoader } from "./streams-loader.ts";
export { type Topology, topicNamesProblem, topicsOf, topologyProblem } from "./topology.ts";
export { type InternalTopic, type StreamsStatus, streamsStatuses } from "./topology-configure.ts";
