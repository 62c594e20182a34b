// What the fuzzers draw from: every API of every listener at every version, and record batches from good to broken.
import { RecordBatchBuilder } from "@blumfeld/core/model";
import { apis } from "@blumfeld/core/protocol";
import { readDeclarations } from "../../tools/codegen/main.ts";
import type { Message } from "../../tools/codegen/model.ts";
import type { SeededRandom } from "./random-frame.ts";

export type Shape = { readonly apiKey: number; readonly version: number; readonly message: Message };

/** Every request and version that a listener of this kind serves, unstable ones included. */
export function requestShapes(listener: "broker" | "controller" | "any"): Shape[] {
  const shapes: Shape[] = [];
  for (const declaration of readDeclarations()) {
    const message = declaration.messages.find((each) => each.kind === "request");
    if (declaration.api === null || message === undefined) continue;
    const api = apis.get(declaration.api.key)!;
    if (listener !== "any" && !api.listeners.includes(listener)) continue;
    for (let version = api.minVersion; version <= api.maxVersion; version++)
      shapes.push({ apiKey: api.key, version, message });
  }
  return shapes;
}

/** A batch that is good two times in three, otherwise damaged at a random byte. */
export function randomRecords(random: SeededRandom): Buffer {
  const builder = new RecordBatchBuilder();
  const count = 1 + random.below(4);
  for (let i = 0; i < count; i++)
    builder.append(1_700_000_000_000 + i, random.below(2) === 0 ? null : random.bytes(8), random.bytes(20));
  const batch = builder.build();
  if (random.below(3) === 0) batch[random.below(batch.length)]! ^= 1 << random.below(8);
  return batch;
}
