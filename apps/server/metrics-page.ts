// /metrics for Prometheus and /health for whoever restarts processes. Loads the HTTP server only when somebody wants it.
import { formatHostAndPort } from "@blumfeld/core/model/settings";
import { type MetricRegistry, metricsContentType } from "./meter.ts";
import { addressRefused } from "./start-refused.ts";

export interface MetricsPage {
  readonly url: string;
  close(): Promise<void>;
}

export async function startMetricsPage(
  address: { readonly host: string; readonly port: number },
  registry: MetricRegistry,
): Promise<MetricsPage> {
  const [{ listenHttp }, { measureProcess }] = await Promise.all([
    import("@blumfeld/host/http"),
    import("./process-metrics.ts"),
  ]);
  const listener = await listenHttp(address, {
    "/metrics": async () => ({ contentType: metricsContentType, body: await registry.render() }),
    "/health": () => ({ contentType: "text/plain", body: "ok\n" }),
  }).catch((error: unknown) => {
    throw addressRefused(error, "metrics", address.host, address.port);
  });
  const stopMeasuring = measureProcess(registry);
  return {
    url: `http://${formatHostAndPort(listener.host, listener.port)}/metrics`,
    async close() {
      stopMeasuring();
      await listener.close();
    },
  };
}
