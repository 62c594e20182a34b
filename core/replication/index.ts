// One partition's leader and followers: who is in sync, what is committed, where logs have parted.
export * from "./fetch-position.ts";
export {
  type FetchedSpan,
  FetchSessionClient,
  type SessionRequest,
} from "./fetch-session.ts";
export * from "./follower-state.ts";
export * from "./leader-replicas.ts";
export * from "./replica-selector.ts";
export * from "./throttle.ts";
