// The controller's listeners: what other nodes and `--bootstrap-controller` talk to.
export * from "./controller-parts.ts";
export * from "./controller-server.ts";
