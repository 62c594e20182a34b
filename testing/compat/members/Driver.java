import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The run's own hands on the cluster: one command a line of JSON on standard input, answered by a line that bears its id. */
final class Driver {
    private static final String[] WORDS = {"apple", "berry", "cherry", "date", "elder", "fig", "grape", "hazel"};
    private final ObjectMapper json = new ObjectMapper();
    private final String bootstrap;
    private final Admin admin;
    private final Map<String, Writer> writers = new ConcurrentHashMap<>();
    /** Several runs share the driver: a command that waits holds up no other. */
    private final ExecutorService threads = Executors.newCachedThreadPool();

    Driver(String bootstrap) {
        this.bootstrap = bootstrap;
        admin = Admin.create(properties());
    }

    private Properties properties() {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        return p;
    }

    void run() throws Exception {
        Event.say("started", "pid", ProcessHandle.current().pid());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode command = json.readTree(line);
            threads.execute(() -> answer(command));
        }
    }

    private void answer(JsonNode command) {
        int id = command.get("id").asInt();
        try {
            Event.say("answer", "id", id, "value", act(command));
        } catch (Exception e) {
            Event.say("answer", "id", id, "error", Event.why(e));
        }
    }

    private Object act(JsonNode command) throws Exception {
        String topic = command.path("topic").asText(), group = command.path("group").asText();
        switch (command.get("do").asText()) {
            case "create" -> {
                int partitions = command.get("partitions").asInt();
                Fixture.create(admin, List.of(new NewTopic(topic, partitions, (short) 1)));
                return partitions;
            }
            case "write" -> {
                Writer writer = new Writer(topic, command.get("partitions").asInt(), command.get("rate").asInt(), command.path("words").asBoolean());
                writers.put(topic, writer);
                writer.start();
                return true;
            }
            case "stopWriting" -> {
                Writer writer = writers.remove(topic);
                writer.over = true;
                writer.join();
                if (writer.failure != null) throw writer.failure;
                return ends(topic, "read_uncommitted");
            }
            case "ends" -> {
                return ends(topic, command.path("isolation").asText("read_uncommitted"));
            }
            case "committed" -> {
                Map<Integer, Long> offsets = new TreeMap<>();
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((tp, offset) -> {
                    if (tp.topic().equals(topic)) offsets.put(tp.partition(), offset.offset());
                });
                return offsets;
            }
            case "shareLag" -> {
                Map<Integer, Long> lags = new TreeMap<>();
                admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group).get().forEach((tp, info) -> {
                    if (info != null) lags.put(tp.partition(), info.lag().orElse(-1L));
                });
                return lags;
            }
            case "group" -> {
                return group(group);
            }
            case "groupConfig" -> {
                List<AlterConfigOp> operations = new ArrayList<>();
                command.get("configs").properties().forEach(entry -> operations.add(new AlterConfigOp(new ConfigEntry(entry.getKey(), entry.getValue().asText()), AlterConfigOp.OpType.SET)));
                admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), operations)).all().get();
                return true;
            }
            case "read" -> {
                return read(topic);
            }
            default -> throw new IllegalArgumentException(command.toString());
        }
    }

    private List<TopicPartition> partitions(String topic) throws Exception {
        List<TopicPartition> all = new ArrayList<>();
        admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().forEach(p -> all.add(new TopicPartition(topic, p.partition())));
        return all;
    }

    private Map<Integer, Long> ends(String topic, String isolation) throws Exception {
        Map<TopicPartition, OffsetSpec> specs = new HashMap<>();
        for (TopicPartition tp : partitions(topic)) specs.put(tp, OffsetSpec.latest());
        IsolationLevel level = isolation.equals("read_committed") ? IsolationLevel.READ_COMMITTED : IsolationLevel.READ_UNCOMMITTED;
        Map<Integer, Long> ends = new TreeMap<>();
        admin.listOffsets(specs, new ListOffsetsOptions(level)).all().get().forEach((tp, info) -> ends.put(tp.partition(), info.offset()));
        return ends;
    }

    private Object group(String group) throws Exception {
        ConsumerGroupDescription description = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        Map<String, List<Integer>> members = new TreeMap<>();
        description.members().forEach(member -> members.put(member.clientId(), member.assignment().topicPartitions().stream().map(TopicPartition::partition).sorted().toList()));
        return Map.of("state", description.groupState().toString(), "type", description.type().toString(), "members", members);
    }

    /** Every record of the topic that read_committed shows, up to the last stable offset: [partition, key, value]. */
    private Object read(String topic) throws Exception {
        Properties p = properties();
        p.put("isolation.level", "read_committed");
        p.put("enable.auto.commit", "false");
        List<Object> out = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> all = partitions(topic);
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            long deadline = System.currentTimeMillis() + 20_000;
            while (all.stream().anyMatch(tp -> consumer.position(tp) < ends.get(tp))) {
                if (System.currentTimeMillis() > deadline) throw new IllegalStateException("the end of " + topic + " was not reached within 20 s");
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(200))) {
                    List<Object> row = new ArrayList<>();
                    row.add(r.partition());
                    row.add(r.key());
                    row.add(r.value());
                    out.add(row);
                }
            }
        }
        return out;
    }

    /** Writes at a steady rate, one partition after the other: the partition's own count, or words. */
    private final class Writer extends Thread {
        private final String topic;
        private final int partitionCount;
        private final int ratePerSecond;
        private final boolean words;
        volatile boolean over;
        volatile Exception failure;

        Writer(String topic, int partitionCount, int ratePerSecond, boolean words) {
            this.topic = topic;
            this.partitionCount = partitionCount;
            this.ratePerSecond = ratePerSecond;
            this.words = words;
        }

        @Override
        public void run() {
            Properties p = properties();
            p.put("linger.ms", "5");
            try (KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
                long started = System.nanoTime();
                for (int i = 0; !over; ) {
                    long due = (System.nanoTime() - started) * ratePerSecond / 1_000_000_000L;
                    for (; i < due; i++) {
                        int partition = i % partitionCount;
                        String value = words ? WORDS[i % WORDS.length] + " " + WORDS[i * 7 / 3 % WORDS.length] : "" + i / partitionCount;
                        producer.send(new ProducerRecord<>(topic, partition, null, value), (metadata, e) -> {
                            if (e != null) failure = e;
                        });
                    }
                    Thread.sleep(10);
                }
                producer.flush();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
