// A bar while a node opens its partitions: on a terminal, and only when it takes long enough to be wondered about.
import type { SingleBar } from "cli-progress";
import type { CliIo } from "./io.ts";

/** Work that ends sooner needs no bar. */
export const barDelayMs = 500;

export class LoadingBar {
  private readonly io: CliIo;
  private readonly startedMs = performance.now();
  private bar: SingleBar | null = null;
  private loading = false;
  private ended = false;

  constructor(io: CliIo) {
    this.io = io;
  }

  show({ loaded, total }: { readonly loaded: number; readonly total: number }): void {
    if (this.ended || !this.io.isTerminal || performance.now() - this.startedMs < barDelayMs) return;
    if (this.bar !== null) this.bar.update(loaded);
    else if (!this.loading) {
      this.loading = true;
      void import("cli-progress").then(({ default: { Presets, SingleBar } }) => {
        if (this.ended) return;
        this.bar = new SingleBar(
          { format: "checking partitions {bar} {value} of {total}, {eta_formatted} left", clearOnComplete: true },
          Presets.shades_classic,
        );
        this.bar.start(total, loaded);
      });
    }
  }

  end(): void {
    this.ended = true;
    this.bar?.stop();
  }
}
