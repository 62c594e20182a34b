// The Meter port as a registry that is read as Prometheus text (format 0.0.4). Kept by hand: on the hot path a counter is one addition
// to a field. Renders on request only; serves nothing itself.
import type { Counter, Histogram, Labels, Meter, MetricReading } from "@blumfeld/core/base";
import { assert } from "@blumfeld/core/base";

type Kind = "counter" | "gauge" | "histogram";

interface Family {
  readonly kind: Kind;
  readonly help: string;
  /** By label text, so that asking twice for one series gives the same one. */
  readonly series: Map<string, { readonly instrument: Counter | Histogram | null; render(name: string): string }>;
}

/** The content type that Prometheus asks for. */
export const metricsContentType = "text/plain; version=0.0.4; charset=utf-8";
/** Most series in one family; a label that a peer chooses must not grow without end. */
export const metricSeriesCountMax = 10_000;

export class MetricRegistry implements Meter {
  readonly #families = new Map<string, Family>();
  readonly #collectors: ((reading: MetricReading) => Promise<void>)[] = [];
  #reading: Promise<string> | null = null;

  counter(name: string, help: string, labels?: Labels): Counter {
    return this.#series(name, "counter", help, labels, (labelText) => {
      let total = 0;
      return {
        instrument: {
          add(amount: number) {
            total += amount;
          },
        },
        render: (family) => `${family}${labelText} ${numberText(total)}\n`,
      };
    }) as Counter;
  }

  gauge(name: string, help: string, read: () => number, labels?: Labels): void {
    this.#series(name, "gauge", help, labels, (labelText) => ({
      instrument: null,
      render: (family) => `${family}${labelText} ${numberText(read())}\n`,
    }));
  }

  /** A counter that something else keeps. */
  observedCounter(name: string, help: string, read: () => number, labels?: Labels): void {
    this.#series(name, "counter", help, labels, (labelText) => ({
      instrument: null,
      render: (family) => `${family}${labelText} ${numberText(read())}\n`,
    }));
  }

  histogram(name: string, help: string, boundaries: readonly number[], labels?: Labels): Histogram {
    return this.#series(name, "histogram", help, labels, (labelText) => {
      const counts = new Float64Array(boundaries.length + 1);
      let sum = 0;
      const instrument = {
        observe(value: number) {
          sum += value;
          let bucket = 0;
          while (bucket < boundaries.length && value > boundaries[bucket]!) bucket++;
          counts[bucket]! += 1;
        },
      };
      return { instrument, render: (family) => renderHistogram(family, labelText, boundaries, counts, sum) };
    }) as Histogram;
  }

  collect(read: (reading: MetricReading) => Promise<void>): void {
    this.#collectors.push(read);
  }

  #series(
    name: string,
    kind: Kind,
    help: string,
    labels: Labels | undefined,
    create: (labelText: string) => { instrument: Counter | Histogram | null; render(name: string): string },
  ): Counter | Histogram | null {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { kind, help, series: new Map() };
      this.#families.set(name, family);
    }
    assert(family.kind === kind, `metric ${name} is a ${family.kind}, asked for as a ${kind}`);
    const labelText = textOfLabels(labels);
    const known = family.series.get(labelText);
    if (known !== undefined && kind !== "gauge") return known.instrument;
    const made = create(labelText);
    if (family.series.size < metricSeriesCountMax) family.series.set(labelText, made);
    return made.instrument;
  }

  /** Name, kind and help of every metric, for the documents. */
  families(): { name: string; kind: Kind; help: string }[] {
    return [...this.#families].map(([name, { kind, help }]) => ({ name, kind, help }));
  }

  /** All that is to be read. Readers that come at the same time get one text. */
  render(): Promise<string> {
    this.#reading ??= this.#renderAll().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #renderAll(): Promise<string> {
    const collected = new CollectedFamilies();
    for (const collector of this.#collectors) await collector(collected);
    return this.renderKept() + collected.text();
  }

  /** Without what has to be collected: at once. */
  renderKept(): string {
    let text = "";
    for (const [name, family] of this.#families) {
      text += headOf(name, family.help, family.kind);
      for (const { render } of family.series.values()) text += render(name);
    }
    return text;
  }
}

/** One reading's own families: gone when it is over. */
class CollectedFamilies implements MetricReading {
  readonly #families = new Map<string, { readonly head: string; readonly lines: string[] }>();

  gauge(name: string, help: string): (value: number, labels: Labels) => void {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { head: headOf(name, help, "gauge"), lines: [] };
      this.#families.set(name, family);
    }
    const { lines } = family;
    return (value, labels) => {
      if (lines.length < metricSeriesCountMax) lines.push(`${name}${textOfLabels(labels)} ${numberText(value)}\n`);
    };
  }

  text(): string {
    let text = "";
    for (const { head, lines } of this.#families.values()) text += head + lines.join("");
    return text;
  }
}

function headOf(name: string, help: string, kind: Kind): string {
  return `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${kind}\n`;
}

function renderHistogram(
  name: string,
  labelText: string,
  boundaries: readonly number[],
  counts: Float64Array,
  sum: number,
): string {
  const inner = labelText === "" ? "" : `${labelText.slice(1, -1)},`;
  let text = "";
  let total = 0;
  for (let bucket = 0; bucket <= boundaries.length; bucket++) {
    total += counts[bucket]!;
    const bound = bucket === boundaries.length ? "+Inf" : numberText(boundaries[bucket]!);
    text += `${name}_bucket{${inner}le="${bound}"} ${total}\n`;
  }
  return `${text}${name}_sum${labelText} ${numberText(sum)}\n${name}_count${labelText} ${total}\n`;
}

function textOfLabels(labels: Labels | undefined): string {
  if (labels === undefined) return "";
  const parts = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `${name}="${escaped}"`;
  });
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
