// Counts requests by API: how many, bytes in and out, time from the frame to the answer. Counters are made once for each API, so that a
// request adds numbers to fields.
import type { Counter, Histogram, Meter } from "@blumfeld/core/base";
import { apis } from "@blumfeld/core/protocol";

export interface ApiMetrics {
  readonly requests: Counter;
  readonly requestBytes: Counter;
  readonly responseBytes: Counter;
  readonly seconds: Histogram;
}

/** From a turn of the loop to a parked fetch. */
const secondsBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createApiMetrics(meter: Meter): (key: number) => ApiMetrics {
  const byKey: ApiMetrics[] = [];
  for (const api of apis.values()) {
    const labels = { api: api.name };
    byKey[api.key] = {
      requests: meter.counter("blumfeld_requests_total", "Requests answered, by API.", labels),
      requestBytes: meter.counter("blumfeld_request_bytes_total", "Bytes of requests, by API.", labels),
      responseBytes: meter.counter("blumfeld_response_bytes_total", "Bytes of responses, by API.", labels),
      seconds: meter.histogram(
        "blumfeld_request_seconds",
        "Time from a request's last byte to its answer, by API.",
        secondsBoundaries,
        labels,
      ),
    };
  }
  return (key) => byKey[key]!;
}
