// The part of cli-progress that is used here; the package brings no types.
declare module "cli-progress" {
  interface BarOptions {
    readonly format: string;
    readonly clearOnComplete?: boolean;
  }
  class SingleBar {
    constructor(options: BarOptions, preset: object);
    start(total: number, value: number): void;
    update(value: number): void;
    stop(): void;
  }
  const progress: { readonly SingleBar: typeof SingleBar; readonly Presets: { readonly shades_classic: object } };

  // A CommonJS package: all of it is its default export.
  export { progress as default, type SingleBar };
}
