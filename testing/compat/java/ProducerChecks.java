import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Utils;

/** What a producer does, and that every byte comes back. */
final class ProducerChecks {
    private static final int MIB = 1 << 20;
    private final Fixture fixture;
    private final Admin admin;

    ProducerChecks(Fixture fixture, Admin admin) {
        this.fixture = fixture;
        this.admin = admin;
    }

    void run() {
        for (String acks : List.of("0", "1", "all")) Checks.check("producer acks " + acks, () -> acks(acks));
        Checks.check("producer idempotent, many small batches in flight", this::idempotent);
        Checks.check("producer many records over partitions", this::manyRecords);
        Checks.check("producer headers", this::headers);
        Checks.check("producer partitions by key", this::partitionsByKey);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) Checks.check("producer 1 MiB record " + codec, () -> mebibyte(codec));
        Checks.check("producer record too large", this::tooLarge);
        Checks.check("producer topic's own compression", this::topicCompression);
        Checks.check("producer log append time", this::logAppendTime);
        Checks.check("producer timestamp out of range", this::timestampRange);
        Checks.check("producer compacted topic needs keys", this::compactedNeedsKey);
        Checks.check("producer unknown topic is created", this::autoCreate);
        Checks.check("producer invalid topic and partition", this::invalidTopic);
        Checks.check("producer ten producers at once", this::tenProducers);
    }

    private String create(String suffix, int partitions, Map<String, String> configs) throws Exception {
        String name = "java-producer-" + suffix + fixture.tag;
        Fixture.create(admin, List.of(new NewTopic(name, partitions, (short) 1).configs(configs)));
        return name;
    }

    private List<ConsumerRecord<byte[], byte[]>> all(String topic, int partition) {
        try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer()) {
            TopicPartition tp = new TopicPartition(topic, partition);
            consumer.assign(List.of(tp));
            consumer.seekToBeginning(List.of(tp));
            return Fixture.take(consumer, List.of(tp)).getOrDefault(tp, List.of());
        }
    }

    private void acks(String acks) throws Exception {
        String topic = create("acks-" + acks, 1, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("acks", acks, "enable.idempotence", "false", "linger.ms", 0)) {
            for (int i = 0; i < 50; i++) {
                Future<RecordMetadata> sent = producer.send(new ProducerRecord<>(topic, 0, 1_700_000_000_000L + i, Checks.bytes("k" + i), Checks.bytes("v" + i)));
                if (i % 10 == 9) Checks.same(acks.equals("0") ? -1L : i, sent.get().offset(), "offset");
            }
        }
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer()) {
            Checks.until("fifty records", 5000, () -> consumer.endOffsets(List.of(tp)).get(tp) == 50);
        }
        List<ConsumerRecord<byte[], byte[]>> got = all(topic, 0);
        Checks.same(50, got.size(), "records");
        for (int i = 0; i < 50; i++) {
            Checks.same("k" + i, Checks.text(got.get(i).key()), "key " + i);
            Checks.same("v" + i, Checks.text(got.get(i).value()), "value " + i);
            Checks.same(1_700_000_000_000L + i, got.get(i).timestamp(), "timestamp " + i);
        }
    }

    private void idempotent() throws Exception {
        String topic = create("idempotent", 1, Map.of());
        int count = 1000;
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("acks", "all", "enable.idempotence", "true", "batch.size", 100, "linger.ms", 0, "max.in.flight.requests.per.connection", 5)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) sent.add(producer.send(new ProducerRecord<>(topic, 0, null, Checks.bytes("idempotent value " + i))));
            for (int i = 0; i < count; i++) Checks.same((long) i, sent.get(i).get().offset(), "offset");
        }
        List<ConsumerRecord<byte[], byte[]>> got = all(topic, 0);
        Checks.same(count, got.size(), "records");
        for (int i = 0; i < count; i++) Checks.same("idempotent value " + i, Checks.text(got.get(i).value()), "order");
    }

    private void manyRecords() throws Exception {
        String topic = create("many", 3, Map.of());
        int count = 30_000;
        byte[] filler = new byte[200];
        new Random(7).nextBytes(filler);
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("linger.ms", 10, "compression.type", "lz4")) {
            for (int i = 0; i < count; i++) {
                byte[] value = Arrays.copyOf(filler, 50 + i % 150);
                value[0] = (byte) i;
                producer.send(new ProducerRecord<>(topic, i % 3, 1_700_000_000_000L + i, Checks.bytes("" + i), value));
            }
        }
        for (int p = 0; p < 3; p++) {
            List<ConsumerRecord<byte[], byte[]>> got = all(topic, p);
            Checks.same(count / 3, got.size(), "records of partition " + p);
            for (int n = 0; n < got.size(); n++) {
                int i = n * 3 + p;
                Checks.same("" + i, Checks.text(got.get(n).key()), "key");
                byte[] value = Arrays.copyOf(filler, 50 + i % 150);
                value[0] = (byte) i;
                Checks.sameBytes(value, got.get(n).value(), "value " + i);
                Checks.same((long) n, got.get(n).offset(), "offset");
            }
        }
    }

    private void headers() throws Exception {
        String topic = create("headers", 1, Map.of());
        List<Header> headers = new ArrayList<>();
        headers.add(new RecordHeader("null", (byte[]) null));
        headers.add(new RecordHeader("empty", new byte[0]));
        headers.add(new RecordHeader("", Checks.bytes("empty name")));
        for (int i = 0; i < 200; i++) headers.add(new RecordHeader("h" + i % 3, new byte[] {(byte) i, (byte) 0xff}));
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            producer.send(new ProducerRecord<>(topic, 0, (byte[]) null, (byte[]) null, headers)).get();
        }
        Header[] got = all(topic, 0).get(0).headers().toArray();
        Checks.same(headers.size(), got.length, "headers");
        for (int i = 0; i < got.length; i++) {
            Checks.same(headers.get(i).key(), got[i].key(), "header name " + i);
            Checks.sameBytes(headers.get(i).value(), got[i].value(), "header " + i);
        }
    }

    private void partitionsByKey() throws Exception {
        String topic = create("keys", 7, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            for (int i = 0; i < 60; i++) {
                byte[] key = Checks.bytes("key " + i);
                RecordMetadata meta = producer.send(new ProducerRecord<>(topic, key, key)).get();
                Checks.same(Utils.toPositive(Utils.murmur2(key)) % 7, meta.partition(), "partition of " + i);
            }
            Checks.same(7, producer.partitionsFor(topic).size(), "partitions");
        }
    }

    private void mebibyte(String codec) throws Exception {
        String topic = create("mebibyte-" + codec, 1, Map.of("max.message.bytes", "" + 2 * MIB));
        byte[] random = new byte[MIB];
        new Random(codec.hashCode()).nextBytes(random);
        byte[] plain = new byte[MIB];
        Arrays.fill(plain, (byte) 'a');
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("compression.type", codec, "max.request.size", 4 * MIB)) {
            producer.send(new ProducerRecord<>(topic, 0, null, random));
            producer.send(new ProducerRecord<>(topic, 0, null, plain));
            producer.flush();
        }
        List<ConsumerRecord<byte[], byte[]>> got = all(topic, 0);
        Checks.same(2, got.size(), "records");
        Checks.sameBytes(random, got.get(0).value(), "random bytes");
        Checks.sameBytes(plain, got.get(1).value(), "equal bytes");
    }

    private void tooLarge() throws Exception {
        String topic = create("small", 1, Map.of("max.message.bytes", "1000"));
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            Checks.fails(RecordTooLargeException.class, () -> producer.send(new ProducerRecord<>(topic, 0, null, new byte[1001])).get());
            Checks.same(0L, producer.send(new ProducerRecord<>(topic, 0, null, new byte[800])).get().offset(), "offset of what fits");
        }
        String wide = create("default-size", 1, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("max.request.size", 8 * MIB)) {
            Checks.fails(RecordTooLargeException.class, () -> producer.send(new ProducerRecord<>(wide, 0, null, new byte[MIB + 100])).get());
        }
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("batch.size", 100_000, "linger.ms", 200)) {
            // A batch that is too large although its records are not: the producer splits it when the broker refuses it.
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 10; i++) sent.add(producer.send(new ProducerRecord<>(topic, 0, null, new byte[300])));
            for (int i = 0; i < 10; i++) Checks.same(1L + i, sent.get(i).get().offset(), "offset after the split");
        }
    }

    private void topicCompression() throws Exception {
        for (String codec : List.of("zstd", "gzip", "uncompressed")) {
            String topic = create("as-" + codec, 1, Map.of("compression.type", codec));
            for (String sent : List.of("none", "snappy")) {
                try (KafkaProducer<byte[], byte[]> producer = fixture.producer("compression.type", sent, "linger.ms", 100)) {
                    for (int i = 0; i < 20; i++) producer.send(new ProducerRecord<>(topic, 0, Checks.bytes("k" + i), Checks.bytes(sent.repeat(50) + i)));
                }
            }
            List<ConsumerRecord<byte[], byte[]>> got = all(topic, 0);
            Checks.same(40, got.size(), "records");
            for (int i = 0; i < 40; i++) Checks.same((i < 20 ? "none" : "snappy").repeat(50) + i % 20, Checks.text(got.get(i).value()), codec + " " + i);
        }
    }

    private void logAppendTime() throws Exception {
        String topic = create("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        for (String codec : List.of("none", "gzip")) {
            try (KafkaProducer<byte[], byte[]> producer = fixture.producer("compression.type", codec)) {
                RecordMetadata meta = producer.send(new ProducerRecord<>(topic, 0, 5L, null, Checks.bytes(codec))).get();
                Checks.that(meta.timestamp() >= before && meta.timestamp() <= System.currentTimeMillis(), "timestamp in the answer: " + meta.timestamp());
                List<ConsumerRecord<byte[], byte[]>> got = all(topic, 0);
                ConsumerRecord<byte[], byte[]> last = got.get(got.size() - 1);
                Checks.same(meta.timestamp(), last.timestamp(), "timestamp read");
                Checks.same(TimestampType.LOG_APPEND_TIME, last.timestampType(), "timestamp type");
            }
        }
    }

    private void timestampRange() throws Exception {
        String topic = create("range", 1, Map.of("message.timestamp.after.max.ms", "1000", "message.timestamp.before.max.ms", "3600000"));
        long now = System.currentTimeMillis();
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            Checks.fails(InvalidTimestampException.class, () -> producer.send(new ProducerRecord<>(topic, 0, now + 600_000, null, new byte[1])).get());
            Checks.fails(InvalidTimestampException.class, () -> producer.send(new ProducerRecord<>(topic, 0, now - 7_200_000, null, new byte[1])).get());
            Checks.same(0L, producer.send(new ProducerRecord<>(topic, 0, now, null, new byte[1])).get().offset(), "offset");
        }
    }

    private void compactedNeedsKey() throws Exception {
        String topic = create("compacted", 1, Map.of("cleanup.policy", "compact"));
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            Checks.fails(InvalidRecordException.class, () -> producer.send(new ProducerRecord<>(topic, 0, null, new byte[1])).get());
            Checks.same(0L, producer.send(new ProducerRecord<>(topic, 0, Checks.bytes("k"), null)).get().offset(), "offset");
        }
    }

    private void autoCreate() throws Exception {
        String topic = "java-producer-created" + fixture.tag;
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            Checks.same(0L, producer.send(new ProducerRecord<>(topic, Checks.bytes("v"))).get().offset(), "offset");
        }
        Checks.same(1, all(topic, 0).size(), "records");
    }

    private void invalidTopic() throws Exception {
        String topic = create("one-partition", 1, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("max.block.ms", 800)) {
            Checks.fails(InvalidTopicException.class, () -> producer.send(new ProducerRecord<>("not a name!", new byte[1])).get());
            Checks.fails(TimeoutException.class, () -> producer.send(new ProducerRecord<>(topic, 9, null, new byte[1])).get());
        }
    }

    private void tenProducers() throws Exception {
        String topic = create("ten", 2, Map.of());
        List<Thread> threads = new ArrayList<>();
        Set<String> expected = new HashSet<>();
        for (int t = 0; t < 10; t++) {
            int id = t;
            for (int i = 0; i < 50; i++) expected.add(id + "-" + i);
            threads.add(new Thread(() -> {
                try (KafkaProducer<byte[], byte[]> producer = fixture.producer("client.id", "ten-" + id)) {
                    for (int i = 0; i < 50; i++) producer.send(new ProducerRecord<>(topic, i % 2, null, Checks.bytes(id + "-" + i)));
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        Set<String> got = new HashSet<>();
        for (int p = 0; p < 2; p++) for (ConsumerRecord<byte[], byte[]> r : all(topic, p)) Checks.that(got.add(Checks.text(r.value())), "no record twice");
        Checks.same(expected, got, "records");
    }
}
