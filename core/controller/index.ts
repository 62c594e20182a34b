// The cluster's metadata: replay → image (image/), command → records + answer (decide/). Opens nothing, waits for nothing.
export * from "./image/index.ts";
