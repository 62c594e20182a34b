// The loggers of this broker as resources of their own (KIP-412): names with levels. A seam: whoever owns the process's logging brings them.

/** From most to least: Kafka's names. */
export const logLevels: readonly string[] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
/** The name of the level of all loggers that have none of their own. */
export const rootLogger = "root";

export interface BrokerLoggers {
  /** Every logger that can be named, with its level now. */
  levels(): ReadonlyMap<string, string>;
  /** Null gives the logger the root's level back. */
  setLevel(name: string, level: string | null): void;
}

/** Kafka's names of the loggers that its operators turn to: what stands behind each here says so under the same name. */
export const loggerNames: readonly string[] = [
  rootLogger,
  "kafka",
  "kafka.controller",
  "kafka.log.LogCleaner",
  "kafka.network.RequestChannel$",
  "kafka.request.logger",
  "kafka.server.KafkaApis",
  "org.apache.kafka",
  "state.change.logger",
];

/** Holds levels and acts on none: for a process whose logging cannot be changed while it runs. */
export function keptLoggers(names: readonly string[] = loggerNames): BrokerLoggers {
  const own = new Map<string, string>();
  const rootLevel = (): string => own.get(rootLogger) ?? "INFO";
  return {
    levels: () => new Map(names.map((name) => [name, own.get(name) ?? rootLevel()])),
    setLevel: (name, level) => {
      if (level === null) own.delete(name);
      else own.set(name, level);
    },
  };
}
