// What the client's tests run against: our broker in this process, or Apache Kafka beside it with BLUMFELD_SUBJECT=kafka. The same tests, for the client
// must work with any Kafka.
import { startBroker } from "blumfeld";
import { startKafka } from "../compat/runner/kafka.ts";

export interface Subject {
  readonly bootstrap: string;
  close(): Promise<void>;
}

export const isKafka = process.env.BLUMFELD_SUBJECT === "kafka";
/** Opening a JVM takes its time. */
export const startMsMax = isKafka ? 120_000 : 20_000;

export async function startSubject(properties: Readonly<Record<string, string | number>>): Promise<Subject> {
  if (!isKafka) return startBroker({ storage: "memory", port: 0, properties });
  const kafka = await startKafka({
    properties,
    jvmArguments: ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],
  });
  return { bootstrap: kafka.bootstrap, close: async () => void (await kafka.stop()) };
}
