// The rendered text against the grammar of Prometheus's exposition format, and the arithmetic of histograms.
import fc from "fast-check";
import { expect, test } from "vitest";
import { MetricRegistry, metricSeriesCountMax } from "./meter.ts";

const sample =
  /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(,(?!\})|(?=\})))+\})? (-?\d+(\.\d+)?(e[+-]?\d+)?|NaN|[+-]Inf)$/;

test("every line is a comment or a sample, whatever the labels hold", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.double(), (label, value) => {
      const registry = new MetricRegistry();
      registry.counter("requests_total", "Requests.", { client: label }).add(Math.abs(value) || 0);
      registry.gauge("size", "A size.", () => value);
      registry.histogram("wait_seconds", "A wait.", [0.1, 1], { client: label }).observe(value);
      for (const line of registry.renderKept().trimEnd().split("\n")) {
        if (!line.startsWith("# ")) expect(line).toMatch(sample);
      }
    }),
  );
});

test("buckets are cumulative and the last one counts all", () => {
  const registry = new MetricRegistry();
  const histogram = registry.histogram("wait_seconds", "A wait.", [1, 2, 4]);
  for (const value of [0.5, 1, 1.5, 3, 100]) histogram.observe(value);
  const text = registry.renderKept();
  expect(text).toContain('wait_seconds_bucket{le="1"} 2\n');
  expect(text).toContain('wait_seconds_bucket{le="2"} 3\n');
  expect(text).toContain('wait_seconds_bucket{le="4"} 4\n');
  expect(text).toContain('wait_seconds_bucket{le="+Inf"} 5\n');
  expect(text).toContain("wait_seconds_sum 106\nwait_seconds_count 5\n");
});

test("one name and one set of labels is one counter", () => {
  const registry = new MetricRegistry();
  registry.counter("requests_total", "Requests.", { api: "Fetch" }).add(2);
  registry.counter("requests_total", "Requests.", { api: "Fetch" }).add(3);
  expect(registry.renderKept()).toContain('requests_total{api="Fetch"} 5\n');
});

test("what is collected is made anew at each reading, bounded, and once for readers at the same time", async () => {
  const registry = new MetricRegistry();
  registry.gauge("size", "A size.", () => 1);
  let readingCount = 0;
  registry.collect(async (reading) => {
    readingCount++;
    await Promise.resolve();
    const lag = reading.gauge("lag", "Records behind.");
    lag(readingCount, { group: 'a"b' });
    for (let index = 0; index < metricSeriesCountMax + 10; index++) lag(index, { group: String(index) });
  });
  const [first, same] = await Promise.all([registry.render(), registry.render()]);
  expect(same).toBe(first);
  expect(first).toContain('size 1\n# HELP lag Records behind.\n# TYPE lag gauge\nlag{group="a\\"b"} 1\n');
  expect(first.match(/^lag\{/gm)).toHaveLength(metricSeriesCountMax);
  expect(await registry.render()).toContain('lag{group="a\\"b"} 2\n');
});
