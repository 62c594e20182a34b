// The cluster's metadata: replay → image (image/), command → records + answer (decide/). Opens nothing, waits for nothing.

export * from "./acl-filter.ts";
export * from "./bootstrap.ts";
export * from "./broker-sessions.ts";
export * from "./controller.ts";
export * from "./decide/index.ts";
export * from "./features-table.ts";
export * from "./image/index.ts";
