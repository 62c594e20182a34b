import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTopicException;

/** What a consumer with assigned partitions does. */
final class ConsumerChecks {
    private static final long START = 1_700_000_000_000L;
    private final Fixture fixture;
    private final Admin admin;
    private final String topic;
    private final TopicPartition zero;

    ConsumerChecks(Fixture fixture, Admin admin) {
        this.fixture = fixture;
        this.admin = admin;
        topic = "java-consumer" + fixture.tag;
        zero = new TopicPartition(topic, 0);
    }

    void run() {
        Checks.check("consumer prepare 100 records", this::prepare);
        Checks.check("consumer seek and position", this::seek);
        Checks.check("consumer beginning and end offsets", this::ends);
        Checks.check("consumer offsets for times", this::offsetsForTimes);
        Checks.check("consumer seek to a timestamp", this::seekToTimestamp);
        Checks.check("consumer waits for new records", this::waitsForRecords);
        Checks.check("consumer fetch.min.bytes and fetch.max.wait.ms", this::minBytes);
        Checks.check("consumer fetch.max.bytes and max.partition.fetch.bytes", this::maxBytes);
        Checks.check("consumer max.poll.records", this::maxPollRecords);
        Checks.check("consumer read_committed of plain records", this::readCommitted);
        Checks.check("consumer auto.offset.reset", this::offsetReset);
        Checks.check("consumer offset out of range", this::outOfRange);
        Checks.check("consumer after deleted records", this::afterDeletedRecords);
        Checks.check("consumer pause and resume", this::pause);
        Checks.check("consumer fetch session over many partitions", this::manyPartitions);
        Checks.check("consumer metadata", this::metadata);
        Checks.check("consumer topic deleted and made again", this::recreated);
    }

    private void create(String name, int partitions) throws Exception {
        Fixture.create(admin, List.of(new NewTopic(name, partitions, (short) 1)));
    }

    private void prepare() throws Exception {
        create(topic, 2);
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("batch.size", 1000, "linger.ms", 0)) {
            for (int i = 0; i < 100; i++) producer.send(new ProducerRecord<>(topic, 0, START + i * 10L, null, Checks.bytes("value " + i + "-".repeat(100))));
        }
    }

    private KafkaConsumer<byte[], byte[]> assigned(TopicPartition tp, Object... pairs) {
        KafkaConsumer<byte[], byte[]> consumer = fixture.consumer(pairs);
        consumer.assign(List.of(tp));
        return consumer;
    }

    private static ConsumerRecord<byte[], byte[]> next(KafkaConsumer<byte[], byte[]> consumer) {
        long end = System.currentTimeMillis() + 10_000;
        while (System.currentTimeMillis() < end) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) return record;
        }
        throw new AssertionError("no record within 10 s");
    }

    private void seek() {
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero)) {
            for (long offset : List.of(57L, 3L, 99L, 0L, 40L)) {
                consumer.seek(zero, offset);
                Checks.same(offset, consumer.position(zero), "position");
                ConsumerRecord<byte[], byte[]> record = next(consumer);
                Checks.same(offset, record.offset(), "offset");
                Checks.same("value " + offset + "-".repeat(100), Checks.text(record.value()), "value");
            }
            consumer.seekToEnd(List.of(zero));
            Checks.same(100L, consumer.position(zero), "position at the end");
            Checks.that(consumer.poll(Duration.ofMillis(50)).isEmpty(), "nothing at the end");
            consumer.seekToBeginning(List.of(zero));
            Checks.same(0L, next(consumer).offset(), "first offset");
        }
    }

    private void ends() {
        TopicPartition one = new TopicPartition(topic, 1);
        try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer()) {
            Checks.same(Map.of(zero, 0L, one, 0L), consumer.beginningOffsets(List.of(zero, one)), "beginning");
            Checks.same(Map.of(zero, 100L, one, 0L), consumer.endOffsets(List.of(zero, one)), "end");
        }
        try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer("isolation.level", "read_committed")) {
            Checks.same(Map.of(zero, 100L, one, 0L), consumer.endOffsets(List.of(zero, one)), "stable end");
        }
    }

    private void offsetsForTimes() {
        TopicPartition one = new TopicPartition(topic, 1);
        try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer()) {
            long[][] wanted = {{START, 0}, {START - 5000, 0}, {START + 1, 1}, {START + 500, 50}, {START + 985, 99}, {START + 990, 99}, {0, 0}};
            for (long[] w : wanted) {
                OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(zero, w[0])).get(zero);
                Checks.same(w[1], found.offset(), "offset for " + (w[0] - START));
                Checks.same(START + w[1] * 10, found.timestamp(), "its timestamp");
                Checks.same(0, found.leaderEpoch().orElse(-1), "its leader epoch");
            }
            Map<TopicPartition, OffsetAndTimestamp> both = consumer.offsetsForTimes(Map.of(zero, START + 991, one, 1L));
            Checks.that(both.get(zero) == null && both.get(one) == null, "nothing later than the last, nothing in an empty partition: " + both);
        }
    }

    private void seekToTimestamp() {
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero)) {
            OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(zero, START + 333)).get(zero);
            consumer.seek(zero, found.offset());
            ConsumerRecord<byte[], byte[]> record = next(consumer);
            Checks.same(START + 340, record.timestamp(), "timestamp");
        }
    }

    private void waitsForRecords() throws Exception {
        TopicPartition one = new TopicPartition(topic, 1);
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(one, "fetch.max.wait.ms", 4000);
            KafkaProducer<byte[], byte[]> producer = fixture.producer("linger.ms", 0)) {
            consumer.poll(Duration.ofMillis(300));
            for (int i = 0; i < 3; i++) {
                producer.send(new ProducerRecord<>(topic, 1, null, Checks.bytes("new " + i))).get();
                long started = System.currentTimeMillis();
                Checks.same("new " + i, Checks.text(next(consumer).value()), "value");
                Checks.that(System.currentTimeMillis() - started < 2500, "the append wakes the waiting fetch, not its time limit");
            }
            consumer.close(CloseOptions.timeout(Duration.ZERO));
        }
    }

    private void minBytes() {
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "fetch.min.bytes", 50_000_000, "fetch.max.wait.ms", 700)) {
            consumer.seekToBeginning(List.of(zero));
            consumer.position(zero);
            long started = System.currentTimeMillis();
            Checks.same(0L, next(consumer).offset(), "offset");
            long took = System.currentTimeMillis() - started;
            Checks.that(took >= 600 && took < 4000, "a fetch short of its minimum waits about 700 ms, not " + took);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "fetch.min.bytes", 1, "fetch.max.wait.ms", 8000)) {
            long started = System.currentTimeMillis();
            Checks.same(0L, next(consumer).offset(), "offset");
            Checks.that(System.currentTimeMillis() - started < 3000, "a fetch that has its minimum does not wait");
            consumer.close(CloseOptions.timeout(Duration.ZERO));
        }
    }

    private void maxBytes() throws Exception {
        String name = topic + "-large";
        create(name, 2);
        TopicPartition large = new TopicPartition(name, 0);
        byte[] value = new byte[200_000];
        new Random(3).nextBytes(value);
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("linger.ms", 0, "batch.size", 10)) {
            for (int i = 0; i < 10; i++) producer.send(new ProducerRecord<>(name, 0, null, value));
        }
        for (List<Object> setting : List.<List<Object>>of(List.of("max.partition.fetch.bytes", 1), List.of("fetch.max.bytes", 1), List.of("max.partition.fetch.bytes", 500_000))) {
            try (KafkaConsumer<byte[], byte[]> consumer = assigned(large, setting.get(0), setting.get(1), "max.poll.records", 100)) {
                List<ConsumerRecord<byte[], byte[]>> got = Fixture.take(consumer, List.of(large)).get(large);
                Checks.same(10, got.size(), "records with " + setting);
                for (ConsumerRecord<byte[], byte[]> record : got) Checks.sameBytes(value, record.value(), "value with " + setting);
            }
        }
    }

    private void maxPollRecords() {
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "max.poll.records", 7)) {
            long expected = 0;
            while (expected < 100) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofSeconds(5));
                Checks.that(records.count() <= 7 && records.count() > 0, "records of a poll: " + records.count());
                for (ConsumerRecord<byte[], byte[]> record : records) Checks.same(expected++, record.offset(), "offset");
            }
        }
    }

    private void readCommitted() {
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "isolation.level", "read_committed")) {
            Checks.same(100, Fixture.take(consumer, List.of(zero)).get(zero).size(), "records");
            Checks.same(0L, consumer.currentLag(zero).orElse(-1), "lag");
        }
    }

    private void offsetReset() {
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "auto.offset.reset", "none")) {
            Checks.fails(NoOffsetForPartitionException.class, () -> consumer.position(zero));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "auto.offset.reset", "latest")) {
            Checks.same(100L, consumer.position(zero), "position with latest");
        }
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "auto.offset.reset", "by_duration:P7300D")) {
            Checks.same(0L, consumer.position(zero), "position with all records younger than the duration");
        }
    }

    private void outOfRange() {
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "auto.offset.reset", "none")) {
            consumer.seek(zero, 1000);
            OffsetOutOfRangeException e = Checks.fails(OffsetOutOfRangeException.class, () -> consumer.poll(Duration.ofSeconds(5)));
            Checks.same(Map.of(zero, 1000L), e.offsetOutOfRangePartitions(), "partitions");
        }
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero, "auto.offset.reset", "earliest")) {
            consumer.seek(zero, 1000);
            Checks.same(0L, next(consumer).offset(), "offset after the reset");
        }
    }

    private void afterDeletedRecords() throws Exception {
        String name = topic + "-deleted";
        create(name, 1);
        TopicPartition tp = new TopicPartition(name, 0);
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer("linger.ms", 50)) {
            for (int i = 0; i < 20; i++) producer.send(new ProducerRecord<>(name, 0, null, Checks.bytes("v" + i)));
        }
        admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(12))).all().get();
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(tp)) {
            Checks.same(12L, consumer.beginningOffsets(List.of(tp)).get(tp), "beginning");
            // The batch still holds the deleted records; the consumer asks from the middle of it.
            Checks.same(12L, next(consumer).offset(), "first offset");
            consumer.seek(tp, 5);
            Checks.same(12L, next(consumer).offset(), "offset after an offset that was deleted");
        }
    }

    private void pause() {
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(zero)) {
            consumer.pause(List.of(zero));
            Checks.that(consumer.poll(Duration.ofMillis(300)).isEmpty(), "nothing while paused");
            consumer.resume(List.of(zero));
            Checks.same(0L, next(consumer).offset(), "offset");
        }
    }

    private void manyPartitions() throws Exception {
        String name = topic + "-many";
        int partitions = 20;
        create(name, partitions);
        List<TopicPartition> all = new ArrayList<>(IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(name, p)).toList());
        int[] seen = new int[partitions];
        try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer("fetch.max.wait.ms", 200);
            KafkaProducer<byte[], byte[]> producer = fixture.producer("linger.ms", 0)) {
            consumer.assign(all);
            for (int round = 0; round < 6; round++) {
                // Partitions leave and enter the session; what they missed comes when they return.
                List<TopicPartition> some = round % 2 == 0 ? all : all.subList(0, partitions / 2);
                consumer.assign(some);
                for (TopicPartition tp : some) consumer.seek(tp, seen[tp.partition()]);
                for (int p = 0; p < partitions; p += 1 + round % 3) producer.send(new ProducerRecord<>(name, p, null, Checks.bytes(round + "/" + p)));
                producer.flush();
                for (Map.Entry<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> e : Fixture.take(consumer, some).entrySet()) {
                    for (ConsumerRecord<byte[], byte[]> record : e.getValue()) {
                        Checks.same((long) seen[record.partition()]++, record.offset(), "offset of " + e.getKey());
                        Checks.that(Checks.text(record.value()).endsWith("/" + record.partition()), "the record is of its partition");
                    }
                }
            }
        }
    }

    private void metadata() {
        try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer("allow.auto.create.topics", "false")) {
            Checks.same(2, consumer.partitionsFor(topic).size(), "partitions");
            Checks.that(consumer.listTopics().containsKey(topic), "the topic is listed");
            Collection<?> unknown = consumer.partitionsFor("java-consumer-nowhere" + fixture.tag);
            Checks.that(unknown == null || unknown.isEmpty(), "no partitions of an unknown topic");
            Checks.fails(InvalidTopicException.class, () -> consumer.partitionsFor("not a name!"));
            Checks.that(!consumer.listTopics().containsKey("java-consumer-nowhere" + fixture.tag), "asking did not create it");
        }
    }

    private void recreated() throws Exception {
        String name = topic + "-again";
        TopicPartition tp = new TopicPartition(name, 0);
        create(name, 1);
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            for (int i = 0; i < 5; i++) producer.send(new ProducerRecord<>(name, 0, null, Checks.bytes("old " + i))).get();
        }
        admin.deleteTopics(List.of(name)).all().get();
        Checks.until("the name is free", 10_000, () -> {
            try {
                create(name, 1);
                return true;
            } catch (java.util.concurrent.ExecutionException e) {
                return false;
            }
        });
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            Checks.same(0L, producer.send(new ProducerRecord<>(name, 0, null, Checks.bytes("new"))).get().offset(), "offset");
        }
        try (KafkaConsumer<byte[], byte[]> consumer = assigned(tp)) {
            List<ConsumerRecord<byte[], byte[]>> got = Fixture.take(consumer, List.of(tp)).get(tp);
            Checks.same(1, got.size(), "records");
            Checks.same("new", Checks.text(got.get(0).value()), "value");
        }
    }
}
