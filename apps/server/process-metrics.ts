// What every process tells of itself, by the names that Prometheus dashboards know.
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { MetricRegistry } from "./meter.ts";

/** Returns the way to stop measuring. */
export function measureProcess(registry: MetricRegistry): () => void {
  const startedSeconds = Date.now() / 1000 - process.uptime();
  registry.observedCounter("process_cpu_seconds_total", "CPU time of the process, user and system.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  registry.gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", () => startedSeconds);
  registry.gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", () =>
    process.memoryUsage.rss(),
  );
  registry.gauge("nodejs_heap_size_used_bytes", "Heap in use.", () => process.memoryUsage().heapUsed);
  registry.gauge(
    "nodejs_external_memory_bytes",
    "Memory outside the heap that objects hold.",
    () => process.memoryUsage().external,
  );
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  // The histogram counts the sampling interval itself as delay; what is beyond it was a wait.
  const secondsOf = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - 0.02);
  registry.gauge(
    "nodejs_eventloop_lag_p99_seconds",
    "99th percentile of the loop's delay since the last reading.",
    () => {
      const seconds = secondsOf(delay.percentile(99));
      return Number.isFinite(seconds) ? seconds : 0;
    },
  );
  registry.gauge("nodejs_eventloop_lag_max_seconds", "Longest delay of the loop since the last reading.", () => {
    const seconds = secondsOf(delay.max);
    delay.reset();
    return Number.isFinite(seconds) ? seconds : 0;
  });
  return () => delay.disable();
}
