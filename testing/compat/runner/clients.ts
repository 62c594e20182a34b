// All clients, in the order in which they run.
import { client as franzGo } from "../franz-go/client.ts";
import { client as java } from "../java/client.ts";
import type { CompatClient } from "./client.ts";

export const clients: readonly CompatClient[] = [java, franzGo];
