import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The specification that the runner hands over, and the records every client writes and reads. */
final class Fixture {
    record Item(int partition, long timestamp, byte[] key, byte[] value, boolean valueIsTopic, List<Header> headers) {
        Item in(int partitions) {
            return new Item(partition % partitions, timestamp, key, value, valueIsTopic, headers);
        }

        byte[] valueOf(String topic) {
            return valueIsTopic ? topic.getBytes(StandardCharsets.UTF_8) : value;
        }
    }

    record Topic(String name, String codec, int partitions, boolean timestamps, List<Item> items) {}

    final String bootstrap;
    final String dataDir;
    final String tag;
    final List<Topic> topics = new ArrayList<>();

    Fixture(String file) throws Exception {
        JsonNode root = new ObjectMapper().readTree(new File(file));
        bootstrap = root.get("bootstrap").asText();
        dataDir = root.get("dataDir").isNull() ? null : root.get("dataDir").asText();
        tag = root.get("tag").asText();
        List<Item> items = new ArrayList<>();
        for (JsonNode r : root.get("records")) {
            List<Header> headers = new ArrayList<>();
            for (JsonNode h : r.get("headers")) headers.add(new RecordHeader(h.get(0).asText(), decoded(h.get(1))));
            items.add(new Item(r.get("partition").asInt(), r.get("timestamp").asLong(), decoded(r.get("key")), decoded(r.get("value")), r.has("valueIsTopic"), headers));
        }
        for (JsonNode t : root.get("topics")) {
            List<Item> chosen = new ArrayList<>();
            int partitions = t.get("partitions").asInt();
            for (JsonNode index : t.get("records")) chosen.add(items.get(index.asInt()).in(partitions));
            topics.add(new Topic(t.get("name").asText(), t.get("codec").asText(), partitions, t.get("timestamps").asBoolean(), chosen));
        }
    }

    private static byte[] decoded(JsonNode node) {
        return node == null || node.isNull() ? null : Base64.getDecoder().decode(node.asText());
    }

    Properties properties(Object... pairs) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < pairs.length; i += 2) p.put(pairs[i], pairs[i + 1].toString());
        return p;
    }

    Admin admin() {
        return Admin.create(properties("default.api.timeout.ms", 20_000, "request.timeout.ms", 10_000));
    }

    KafkaProducer<byte[], byte[]> producer(Object... pairs) {
        Properties p = properties("max.block.ms", 15_000, "delivery.timeout.ms", 20_000, "request.timeout.ms", 10_000);
        p.putAll(properties(pairs));
        return new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Object... pairs) {
        Properties p = properties("auto.offset.reset", "earliest", "enable.auto.commit", "false", "fetch.max.wait.ms", 50, "default.api.timeout.ms", 15_000, "request.timeout.ms", 12_000);
        p.putAll(properties(pairs));
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    void create(Admin admin) throws Exception {
        List<NewTopic> wanted = new ArrayList<>();
        for (Topic topic : topics) wanted.add(new NewTopic(topic.name(), topic.partitions(), (short) 1));
        create(admin, wanted);
    }

    /** Creates topics and waits until the broker itself knows them: the controller answers before brokers have replayed it. */
    static void create(Admin admin, List<NewTopic> wanted) throws Exception {
        admin.createTopics(wanted).all().get();
        List<String> names = wanted.stream().map(NewTopic::name).toList();
        Checks.until("the broker knows " + names, 10_000, () -> {
            try {
                return admin.describeTopics(names).allTopicNames().get().values().stream().allMatch(d -> d.partitions().stream().allMatch(p -> p.leader() != null));
            } catch (ExecutionException e) {
                if (e.getCause() instanceof UnknownTopicOrPartitionException) return false;
                throw e;
            }
        });
    }

    void write(Topic topic) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("compression.type", topic.codec(), "linger.ms", 20, "batch.size", 65536)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (Item i : topic.items()) sent.add(producer.send(new ProducerRecord<>(topic.name(), i.partition(), i.timestamp(), i.key(), i.valueOf(topic.name()), i.headers())));
            producer.flush();
            Map<Integer, Long> next = new HashMap<>();
            for (int n = 0; n < sent.size(); n++) {
                Item item = topic.items().get(n);
                RecordMetadata meta = sent.get(n).get();
                Checks.same(next.merge(item.partition(), 1L, Long::sum) - 1, meta.offset(), "offset of record " + n);
                Checks.same(item.timestamp(), meta.timestamp(), "timestamp of record " + n);
            }
        }
    }

    void read(Topic topic, KafkaConsumer<byte[], byte[]> consumer) {
        List<TopicPartition> assigned = new ArrayList<>();
        for (int p = 0; p < topic.partitions(); p++) assigned.add(new TopicPartition(topic.name(), p));
        consumer.assign(assigned);
        consumer.seekToBeginning(assigned);
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> got = take(consumer, assigned);
        for (TopicPartition tp : assigned) {
            List<Item> expected = topic.items().stream().filter(i -> i.partition() == tp.partition()).toList();
            List<ConsumerRecord<byte[], byte[]>> actual = got.getOrDefault(tp, List.of());
            Checks.same(expected.size(), actual.size(), "records of " + tp);
            for (int n = 0; n < expected.size(); n++) compare(topic, expected.get(n), actual.get(n), n);
        }
    }

    private static void compare(Topic topic, Item item, ConsumerRecord<byte[], byte[]> record, int n) {
        String at = topic.name() + "-" + item.partition() + "@" + n;
        Checks.same((long) n, record.offset(), at + " offset");
        if (topic.timestamps()) Checks.same(item.timestamp(), record.timestamp(), at + " timestamp");
        Checks.sameBytes(item.key(), record.key(), at + " key");
        Checks.sameBytes(item.valueOf(topic.name()), record.value(), at + " value");
        Header[] headers = record.headers().toArray();
        Checks.same(item.headers().size(), headers.length, at + " header count");
        for (int h = 0; h < headers.length; h++) {
            Checks.same(item.headers().get(h).key(), headers[h].key(), at + " header name");
            Checks.sameBytes(item.headers().get(h).value(), headers[h].value(), at + " header " + headers[h].key());
        }
    }

    /** Everything from the consumer's positions to the ends of these partitions. */
    static Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> take(KafkaConsumer<byte[], byte[]> consumer, List<TopicPartition> assigned) {
        Map<TopicPartition, Long> ends = consumer.endOffsets(assigned);
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> got = new HashMap<>();
        long deadline = System.currentTimeMillis() + 15_000;
        while (assigned.stream().anyMatch(tp -> consumer.position(tp) < ends.get(tp))) {
            if (System.currentTimeMillis() > deadline) throw new AssertionError("the end of " + assigned + " was not reached within 15 s");
            for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                got.computeIfAbsent(new TopicPartition(r.topic(), r.partition()), k -> new ArrayList<>()).add(r);
            }
        }
        return got;
    }
}
