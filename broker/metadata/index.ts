export * from "./cluster-access.ts";
export type { ControllerOrigin } from "./controller-requests.ts";
export * from "./internal-topics.ts";
export { LocalControllerChannel } from "./local-controller-channel.ts";
export * from "./metadata-node.ts";
export * from "./producer-id-blocks.ts";
