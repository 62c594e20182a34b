import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** kafka-transactions over an open, a committed and an aborted transaction. */
final class TransactionTools {
    private static final String TOOL = "org.apache.kafka.tools.TransactionsCommand";
    private static final String[] VARYING = {"ProducerId", "StartTimeMs", "LastTimestamp", "CurrentTransactionStartTimeMs", "TransactionDurationMs", "LastSequence", "CoordinatorId", "Coordinator", "DurationMin(s)", "Duration(min)"};
    private final Fixture fixture;
    private final Expected expected;
    private final String topic;

    TransactionTools(Fixture fixture, Expected expected) {
        this.fixture = fixture;
        this.expected = expected;
        topic = "txtools-topic" + fixture.tag;
    }

    private KafkaProducer<byte[], byte[]> producer(String id) {
        KafkaProducer<byte[], byte[]> producer = fixture.producer("transactional.id", id + fixture.tag, "transaction.timeout.ms", 60_000);
        producer.initTransactions();
        producer.beginTransaction();
        return producer;
    }

    void run() throws Exception {
        try (Admin admin = fixture.admin()) {
            Fixture.create(admin, List.of(new NewTopic(topic, 2, (short) 1)));
            try (KafkaProducer<byte[], byte[]> committed = producer("txtools-committed"); KafkaProducer<byte[], byte[]> aborted = producer("txtools-aborted"); KafkaProducer<byte[], byte[]> open = producer("txtools-open");
                KafkaConsumer<byte[], byte[]> reader = fixture.consumer("isolation.level", "read_committed")) {
                committed.send(new ProducerRecord<>(topic, 1, null, Checks.bytes("a"))).get();
                committed.commitTransaction();
                aborted.send(new ProducerRecord<>(topic, 1, null, Checks.bytes("b"))).get();
                aborted.abortTransaction();
                TopicPartition zero = new TopicPartition(topic, 0), one = new TopicPartition(topic, 1);
                Checks.until("the markers", 5000, () -> reader.endOffsets(List.of(one)).get(one) == 4);
                // Ended transactions are complete a moment after their markers.
                Thread.sleep(500);
                open.send(new ProducerRecord<>(topic, 0, null, Checks.bytes("c"))).get();
                same("list", "list");
                for (String id : List.of("open", "committed", "aborted", "absent")) same("describe of " + id, "describe", "--transactional-id", "txtools-" + id + fixture.tag);
                same("describe-producers of an open one", "describe-producers", "--topic", topic, "--partition", "0");
                same("describe-producers of ended ones", "describe-producers", "--topic", topic, "--partition", "1");
                same("find-hanging", "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "1");
                same("find-hanging of a topic", "find-hanging", "--topic", topic, "--partition", "0", "--max-transaction-timeout", "1");
                same("abort of what is not open", "abort", "--topic", topic, "--partition", "1", "--start-offset", "0");
                Checks.check("kafka-transactions, the open one holds back", () -> Checks.same(0L, reader.endOffsets(List.of(zero)).get(zero), "last stable offset"));
                same("abort", "abort", "--topic", topic, "--partition", "0", "--start-offset", "0");
                Checks.check("kafka-transactions, an aborted one holds back nothing", () -> Checks.until("last stable offset", 5000, () -> reader.endOffsets(List.of(zero)).get(zero) == 2));
                same("describe-producers after the abort", "describe-producers", "--topic", topic, "--partition", "0");
                same("forceTerminateTransaction", "forceTerminateTransaction", "--transactionalId", "txtools-open" + fixture.tag);
                same("describe after the end", "describe", "--transactional-id", "txtools-open" + fixture.tag);
            }
        }
    }

    private void same(String what, String... args) {
        String name = "kafka-transactions " + what;
        Checks.check(name, () -> {
            List<String> all = new ArrayList<>(List.of("--bootstrap-server", fixture.bootstrap));
            all.addAll(List.of(args));
            Tools.Output output = Tools.run(TOOL, all.toArray(new String[0]));
            if (args[0].equals("list")) output = new Tools.Output(output.code(), String.join("\n", output.out().lines().filter(line -> line.startsWith("txtools-") || line.startsWith("TransactionalId")).toList()), output.err());
            expected.same(name, output, VARYING);
        });
    }
}
