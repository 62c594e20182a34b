// The coordinators: groups, share groups and transactions, each as shards that decide. See docs/design/coordinators.md.
export * from "./runtime/index.ts";
export { LinearRegex } from "./group/regex/linear-regex.ts";
