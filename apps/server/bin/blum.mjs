#!/usr/bin/env node
// What `npx blum` runs inside this repository: the same program as bin/blum.
await import("../../../bin/blum");
