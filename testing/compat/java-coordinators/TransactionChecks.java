import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

/** What transactional producers do and what read_committed consumers then see. */
final class TransactionChecks {
    private final Fixture fixture;
    private final Admin admin;

    TransactionChecks(Fixture fixture, Admin admin) {
        this.fixture = fixture;
        this.admin = admin;
    }

    void run() {
        Checks.check("transaction, commit over two partitions", this::commit);
        Checks.check("transaction, abort", this::abort);
        Checks.check("transaction, an open one holds back the last stable offset", this::open);
        Checks.check("transaction, many after each other", this::many);
        Checks.check("transaction, offsets", this::offsets);
        Checks.check("transaction, a second producer fences the first", this::fenced);
        Checks.check("transaction, times out", this::timesOut);
        Checks.check("transaction, described and listed", this::described);
    }

    private String create(String suffix) throws Exception {
        String name = "java-transaction-" + suffix + fixture.tag;
        Fixture.create(admin, List.of(new NewTopic(name, 2, (short) 1)));
        return name;
    }

    private KafkaProducer<byte[], byte[]> producer(String id, Object... pairs) {
        List<Object> all = new ArrayList<>(List.of("transactional.id", "java-" + id + fixture.tag, "transaction.timeout.ms", 30_000, "max.block.ms", 8000));
        all.addAll(List.of(pairs));
        return fixture.producer(all.toArray());
    }

    /** As `seen`, once the markers of all transactions are written: a commit is answered when it is decided. */
    private List<String> values(String topic, int partition, String isolation) throws Exception {
        TopicPartition tp = new TopicPartition(topic, partition);
        try (KafkaConsumer<byte[], byte[]> committed = fixture.consumer("isolation.level", "read_committed"); KafkaConsumer<byte[], byte[]> all = fixture.consumer()) {
            Checks.until("the last stable offset is the end", 10_000, () -> committed.endOffsets(List.of(tp)).equals(all.endOffsets(List.of(tp))));
        }
        return seen(topic, partition, isolation);
    }

    private List<String> seen(String topic, int partition, String isolation) {
        TopicPartition tp = new TopicPartition(topic, partition);
        try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer("isolation.level", isolation)) {
            consumer.assign(List.of(tp));
            consumer.seekToBeginning(List.of(tp));
            List<String> out = new ArrayList<>();
            for (ConsumerRecord<byte[], byte[]> record : Fixture.take(consumer, List.of(tp)).getOrDefault(tp, List.of())) out.add(Checks.text(record.value()));
            return out;
        }
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, int partition, String value) {
        return new ProducerRecord<>(topic, partition, null, Checks.bytes(value));
    }

    private void commit() throws Exception {
        String topic = create("commit");
        try (KafkaProducer<byte[], byte[]> producer = producer("commit")) {
            producer.initTransactions();
            producer.beginTransaction();
            for (int i = 0; i < 10; i++) producer.send(record(topic, i % 2, "v" + i));
            producer.commitTransaction();
        }
        Checks.same(List.of("v0", "v2", "v4", "v6", "v8"), values(topic, 0, "read_committed"), "partition 0");
        Checks.same(List.of("v1", "v3", "v5", "v7", "v9"), values(topic, 1, "read_committed"), "partition 1");
    }

    private void abort() throws Exception {
        String topic = create("abort");
        try (KafkaProducer<byte[], byte[]> producer = producer("abort"); KafkaProducer<byte[], byte[]> plain = fixture.producer()) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, 0, "aborted 1"));
            producer.flush();
            plain.send(record(topic, 0, "plain")).get();
            producer.send(record(topic, 0, "aborted 2"));
            producer.flush();
            producer.abortTransaction();
            producer.beginTransaction();
            producer.send(record(topic, 0, "committed"));
            producer.commitTransaction();
        }
        Checks.same(List.of("plain", "committed"), values(topic, 0, "read_committed"), "read_committed");
        Checks.same(List.of("aborted 1", "plain", "aborted 2", "committed"), values(topic, 0, "read_uncommitted"), "read_uncommitted");
    }

    private void open() throws Exception {
        String topic = create("open");
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> producer = producer("open"); KafkaProducer<byte[], byte[]> plain = fixture.producer();
            KafkaConsumer<byte[], byte[]> committed = fixture.consumer("isolation.level", "read_committed")) {
            plain.send(record(topic, 0, "before")).get();
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, 0, "open")).get();
            plain.send(record(topic, 0, "after")).get();
            committed.assign(List.of(tp));
            Checks.same(1L, committed.endOffsets(List.of(tp)).get(tp), "last stable offset");
            Checks.same(List.of("before"), seen(topic, 0, "read_committed"), "while it is open");
            producer.commitTransaction();
            Checks.until("the last stable offset", 5000, () -> committed.endOffsets(List.of(tp)).get(tp) == 4);
            Checks.same(List.of("before", "open", "after"), values(topic, 0, "read_committed"), "after the commit");
        }
    }

    private void many() throws Exception {
        String topic = create("many");
        List<String> expected = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer("many")) {
            producer.initTransactions();
            for (int i = 0; i < 60; i++) {
                producer.beginTransaction();
                for (int k = 0; k < 3; k++) producer.send(record(topic, 0, i + "/" + k));
                // Kafka's Sender asks whether batches are left before it takes the transaction manager's lock: with transactions v2, on a busy machine,
                // a commit that is asked for right after the sends can overtake them, and any coordinator then says INVALID_TXN_STATE.
                producer.flush();
                if (i % 3 == 2) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                    for (int k = 0; k < 3; k++) expected.add(i + "/" + k);
                }
            }
        }
        Checks.same(expected, values(topic, 0, "read_committed"), "records");
    }

    private void offsets() throws Exception {
        String topic = create("offsets");
        String group = "java-transaction-group" + fixture.tag;
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> producer = producer("offsets"); KafkaProducer<byte[], byte[]> plain = fixture.producer();
            KafkaConsumer<byte[], byte[]> member = fixture.consumer("group.id", group, "isolation.level", "read_committed")) {
            plain.send(record(topic, 0, "input")).get();
            producer.initTransactions();
            member.subscribe(List.of(topic));
            Checks.until("the input", 15_000, () -> !member.poll(Duration.ofMillis(100)).isEmpty());
            ConsumerGroupMetadata metadata = member.groupMetadata();
            producer.beginTransaction();
            producer.send(record(topic, 1, "output 1"));
            producer.sendOffsetsToTransaction(Map.of(tp, new OffsetAndMetadata(1)), metadata);
            producer.abortTransaction();
            Checks.that(member.committed(java.util.Set.of(tp)).get(tp) == null, "no offset after the abort");
            producer.beginTransaction();
            producer.send(record(topic, 1, "output 2"));
            producer.sendOffsetsToTransaction(Map.of(tp, new OffsetAndMetadata(1)), metadata);
            producer.commitTransaction();
            Checks.same(1L, member.committed(java.util.Set.of(tp)).get(tp).offset(), "offset after the commit");
        }
        Checks.same(List.of("output 2"), values(topic, 1, "read_committed"), "output");
    }

    private void fenced() throws Exception {
        String topic = create("fenced");
        KafkaProducer<byte[], byte[]> first = producer("fenced");
        try (KafkaProducer<byte[], byte[]> second = producer("fenced")) {
            first.initTransactions();
            first.beginTransaction();
            first.send(record(topic, 0, "first")).get();
            second.initTransactions();
            KafkaException refused = Checks.fails(KafkaException.class, () -> {
                first.send(record(topic, 0, "late")).get();
                first.commitTransaction();
            });
            Throwable cause = refused.getCause() == null ? refused : refused.getCause();
            boolean fenced = refused instanceof ProducerFencedException || refused instanceof InvalidProducerEpochException || cause instanceof ProducerFencedException || cause instanceof InvalidProducerEpochException;
            Checks.that(fenced, "the first producer is fenced: " + refused);
            second.beginTransaction();
            second.send(record(topic, 0, "second"));
            second.commitTransaction();
        } finally {
            first.close(Duration.ZERO);
        }
        Checks.same(List.of("second"), values(topic, 0, "read_committed"), "records");
    }

    private void timesOut() throws Exception {
        String topic = create("timeout");
        TopicPartition tp = new TopicPartition(topic, 0);
        KafkaProducer<byte[], byte[]> producer = producer("timeout", "transaction.timeout.ms", 1000);
        try (KafkaConsumer<byte[], byte[]> committed = fixture.consumer("isolation.level", "read_committed")) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, 0, "forgotten")).get();
            Checks.same(0L, committed.endOffsets(List.of(tp)).get(tp), "last stable offset");
            // The coordinator looks for timed out transactions every ten seconds.
            Checks.until("the coordinator aborts it", 25_000, () -> committed.endOffsets(List.of(tp)).get(tp) == 2);
            Checks.same(List.of(), values(topic, 0, "read_committed"), "records");
        } finally {
            producer.close(Duration.ZERO);
        }
    }

    private void described() throws Exception {
        String topic = create("described");
        String id = "java-described" + fixture.tag;
        try (KafkaProducer<byte[], byte[]> producer = producer("described")) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, 1, "v")).get();
            TransactionDescription open = admin.describeTransactions(List.of(id)).description(id).get();
            Checks.same(TransactionState.ONGOING, open.state(), "state");
            Checks.same(java.util.Set.of(new TopicPartition(topic, 1)), open.topicPartitions(), "partitions");
            Checks.that(admin.listTransactions().all().get().stream().anyMatch(listing -> listing.transactionalId().equals(id)), "the transaction is listed");
            producer.commitTransaction();
            Checks.until("the transaction is complete", 5000, () -> admin.describeTransactions(List.of(id)).description(id).get().state() == TransactionState.COMPLETE_COMMIT);
        }
    }
}
