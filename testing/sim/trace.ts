// What happened, line by line. All of it goes into a hash, which the same seed gives again; the text is kept only where somebody reads it.

/** Two multipliers of FNV's kind, 32 bits each. */
const primes = [0x01000193, 0x85ebca6b] as const;
/** Of a run whose trace is not asked for, so many lines are shown when it fails. */
const linesKeptMax = 80;

export class Trace {
  readonly isKept: boolean;
  private readonly nowMs: () => number;
  private lines: string[] = [];
  private high = 0x811c9dc5;
  private low = 0x9747b28c;

  constructor(isKept: boolean, nowMs: () => number) {
    this.isKept = isKept;
    this.nowMs = nowMs;
  }

  /** A line that only people read: what is logged may be worded anew without another history. */
  note(text: string): void {
    if (this.isKept) this.keep(text);
  }

  /** Named by its first user: part of the history. */
  add(text: string): void {
    const at = Math.floor(this.nowMs() * 1000);
    this.mix(at);
    for (let index = 0; index < text.length; index++) this.mix(text.charCodeAt(index));
    this.keep(text);
  }

  private keep(text: string): void {
    this.lines.push(`${(this.nowMs() / 1000).toFixed(4).padStart(9)}  ${text}`);
    if (!this.isKept && this.lines.length > linesKeptMax * 2) this.lines = this.lines.slice(-linesKeptMax);
  }

  private mix(value: number): void {
    this.high = Math.imul(this.high ^ (value & 0xffff) ^ (value >>> 16), primes[0]);
    this.low = Math.imul(this.low ^ value, primes[1]) ^ (this.low >>> 15);
  }

  get hash(): string {
    const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
    return hex(this.high) + hex(this.low);
  }

  get text(): string {
    return (this.isKept ? this.lines : this.lines.slice(-linesKeptMax)).join("\n");
  }
}
