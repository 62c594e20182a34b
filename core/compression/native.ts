// Loads a codec's native part at first use: a platform without one can still serve every other codec.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** A codec's native part is missing. Compressing with it is refused when it is configured, so this is seen at start-up or not at all. */
export class CodecUnavailable extends Error {
  override name = "CodecUnavailable";
}

/** Gives the module, loading it once; throws CodecUnavailable, each time, where it cannot be loaded. */
export function lazyNative<Module>(name: string): () => Module {
  let loaded: Module | null = null;
  let failure: CodecUnavailable | null = null;
  return () => {
    if (loaded !== null) return loaded;
    if (failure !== null) throw failure;
    try {
      loaded = require(name) as Module;
      return loaded;
    } catch (cause) {
      failure = new CodecUnavailable(`no ${name} for ${process.platform}-${process.arch}`, { cause });
      throw failure;
    }
  };
}
