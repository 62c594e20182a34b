// All clients, in the order in which they run.
import { client as franzGo } from "../franz-go/client.ts";
import { client as java } from "../java/client.ts";
import { clients as javaCoordinators } from "../java-coordinators/client.ts";
import { clients as kafkaCoordinatorTools } from "../kafka-coordinator-tools/client.ts";
import { client as kafkaGo } from "../kafka-go/client.ts";
import { client as kafkaTools } from "../kafka-tools/client.ts";
import { client as kafkajs } from "../kafkajs/client.ts";
import { client as kcat } from "../kcat/client.ts";
import { client as librdkafka } from "../librdkafka/client.ts";
import { client as platformaticKafka } from "../platformatic-kafka/client.ts";
import { client as sarama } from "../sarama/client.ts";
import type { CompatClient } from "./client.ts";

export const clients: readonly CompatClient[] = [
  java,
  ...javaCoordinators,
  librdkafka,
  franzGo,
  sarama,
  kafkaGo,
  kafkajs,
  platformaticKafka,
  kcat,
  kafkaTools,
  ...kafkaCoordinatorTools,
];
